"""Answers are the very ids that transformers returns, padding, beams and drawing included."""

import inspect

import numpy as np
import pytest
import torch

from blipvino import InputError


@pytest.fixture(scope="module")
def inputs(processor, pictures, asked):
    batch = processor(images=pictures, text=asked, padding=True, return_tensors="pt")
    assert not batch["attention_mask"].all()
    return batch


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_new_tokens": 2},
        {"num_beams": 3},
        {"num_beams": 4, "num_return_sequences": 2, "length_penalty": -1.0},
        {"do_sample": True, "temperature": 3.0},
        {"do_sample": True, "num_beams": 2, "top_k": 10},
        {"min_new_tokens": 4, "no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
        {"use_cache": False, "num_beams": 2},
    ],
)
def test_ids_are_those_of_transformers(demo, answerer_model, inputs, options):
    torch.manual_seed(3)
    expected = demo.oracle.generate(**inputs, **options)
    torch.manual_seed(3)
    found = answerer_model.generate(**inputs, **options)
    assert found.dtype == torch.int64 and found.tolist() == expected.tolist()


def test_numpy_lists_and_a_generation_config_are_taken(demo, answerer_model, processor, pictures, asked):
    import transformers

    config = transformers.GenerationConfig(num_beams=3, max_new_tokens=4)
    given = processor(images=pictures[0], text=asked[0], return_tensors="np")
    expected = demo.oracle.generate(
        **processor(images=pictures[0], text=asked[0], return_tensors="pt"), generation_config=config
    )
    assert answerer_model.generate(**given, generation_config=config).tolist() == expected.tolist()
    listed = answerer_model.generate(given["input_ids"].tolist(), given["pixel_values"], generation_config=config)
    assert listed.tolist() == expected.tolist()


def test_the_models_own_options_are_used_where_none_are_given(answerer_model, inputs):
    before = answerer_model.generation_config.max_new_tokens
    answerer_model.generation_config.max_new_tokens = 1
    try:
        assert answerer_model.generate(**inputs).shape == (4, 2)
    finally:
        answerer_model.generation_config.max_new_tokens = before


def test_scores_are_those_of_transformers(demo, answerer_model, inputs):
    options = {"num_beams": 2, "return_dict_in_generate": True, "output_scores": True, "output_logits": True}
    expected, found = demo.oracle.generate(**inputs, **options), answerer_model.generate(**inputs, **options)
    assert found.sequences.tolist() == expected.sequences.tolist()
    torch.testing.assert_close(found.sequences_scores, expected.sequences_scores, atol=1e-4, rtol=1e-3)
    assert found.past_key_values is None
    probabilities = answerer_model.probabilities(found)
    lengths = (found.sequences[:, 1:] == 3).int().argmax(dim=1) + 1  # upstream's beams pad with the closing token
    torch.testing.assert_close(probabilities.log() / lengths, found.sequences_scores, atol=1e-5, rtol=1e-3)


def test_the_first_argument_is_upstreams(answerer_model, captioner_model):
    assert next(iter(inspect.signature(answerer_model.forward).parameters)) == "input_ids"
    assert next(iter(inspect.signature(captioner_model.forward).parameters)) == "pixel_values"
    assert (answerer_model.main_input_name, captioner_model.main_input_name) == ("input_ids", "pixel_values")


def test_forward_gives_what_the_model_sees(demo, answerer_model, inputs):
    given = {**inputs, "decoder_input_ids": inputs["input_ids"][:, :2]}
    expected, found = demo.oracle(**given), answerer_model(**given)
    torch.testing.assert_close(found.image_embeds, expected.image_embeds, atol=2e-2, rtol=1e-2)
    assert len(answerer_model(**given, return_dict=False)) == 2
    with pytest.raises(InputError, match="generate\\(\\) answers questions"):
        answerer_model(**inputs)
    with pytest.raises(InputError, match="labels: a bundle is not trained"):
        answerer_model(**given, labels=given["input_ids"])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"input_ids": [[2, 9999]] * 4}, "input_ids hold 2 to 9999, expected 0 to"),
        ({"input_ids": [[2, 3]]}, "input_ids have 1 rows, pixel_values 4"),
        ({"input_ids": [[2], [2, 3]]}, "rows of several lengths"),
        ({"input_ids": np.zeros((4, 2))}, "float64, expected integers"),
        ({"input_ids": [2, 3]}, r"are \[2\], expected \[batch, tokens\]"),
        ({"input_ids": np.ones((4, 500), int)}, "have 500 tokens, this model takes at most"),
        ({"attention_mask": np.ones((4, 2), int)}, r"attention_mask is \[4, 2\], input_ids \[4, \d+\]"),
        (
            {"pixel_values": np.zeros((4, 3, 8, 8), np.float32)},
            r"pixel_values are \[4, 3, 8, 8\], expected \[batch, 3, ",
        ),
        ({"pixel_values": "photo.jpg"}, "have 4 rows, pixel_values 9"),
        ({"interpolate_pos_encoding": True}, "images of one size"),
        ({"output_attentions": True}, "no attentions"),
        ({"num_beams": 10**6}, r"a batch of 4 with 4000000 beams or texts together would take .* MiB of memory"),
        ({"max_new_tokens": 500}, "the positions of this model; lower"),
    ],
)
def test_what_is_wrong_is_one_line(answerer_model, inputs, changed, says):
    with pytest.raises(InputError, match=says) as refusal:
        answerer_model.generate(**{**inputs, "min_new_tokens": 200 if "max_new_tokens" in changed else 0, **changed})
    assert "\n" not in str(refusal.value)


def test_an_option_that_there_is_not_is_told_as_by_transformers(answerer_model, inputs):
    with pytest.raises(ValueError, match="colour"):
        answerer_model.generate(**inputs, colour="red")
