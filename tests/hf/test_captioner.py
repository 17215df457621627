"""Captions are the very ids that transformers returns, prompts included."""

import pytest
import torch

from blipvino import InputError


@pytest.mark.parametrize("prompt", [None, "there is", "a"])
@pytest.mark.parametrize("options", [{}, {"num_beams": 3, "max_length": 12}, {"do_sample": True}])
def test_ids_are_those_of_transformers(captioner_model, captioner_oracle, processor, pictures, prompt, options):
    text = {} if prompt is None else {"text": [prompt] * len(pictures)}
    inputs = processor(images=pictures, return_tensors="pt", **text)
    torch.manual_seed(5)
    found = captioner_model.generate(**inputs, **options)
    torch.manual_seed(5)
    assert found.tolist() == captioner_oracle.generate(**inputs, **options).tolist()


def test_a_batch_makes_what_its_rows_make(captioner_model, processor, pictures):
    inputs = processor(images=pictures, return_tensors="pt")
    together = processor.batch_decode(captioner_model.generate(**inputs), skip_special_tokens=True)
    alone = [
        processor.decode(captioner_model.generate(values[None])[0], skip_special_tokens=True)
        for values in inputs["pixel_values"]
    ]
    assert together == alone


def test_given_tensors_stay_as_they_are(captioner_model, processor, pictures):
    inputs = processor(images=pictures[0], text="there is", return_tensors="pt")
    before = inputs["input_ids"].clone()
    captioner_model.generate(**inputs)
    assert torch.equal(inputs["input_ids"], before)


def test_forward_gives_every_tokens_scores(captioner_model, captioner_oracle, processor, pictures):
    inputs = processor(images=pictures[:2], text=["a small circle", "a large square"], return_tensors="pt")
    expected, found = captioner_oracle(**inputs), captioner_model(**inputs)
    assert found.logits.shape == expected.logits.shape
    torch.testing.assert_close(found.logits.log_softmax(-1), expected.logits.log_softmax(-1), atol=5e-2, rtol=1e-2)
    assert torch.equal(found.image_embeds, found.last_hidden_state)
    assert torch.equal(captioner_model(**inputs, logits_to_keep=2).logits, found.logits[:, -2:])
    with pytest.raises(InputError, match="forward\\(\\) needs input_ids"):
        captioner_model(inputs["pixel_values"])


def test_prompts_of_one_length_or_one_by_one(captioner_model, processor, pictures):
    inputs = processor(
        images=pictures[:2], text=["a", "a small circle above a square"], padding=True, return_tensors="pt"
    )
    with pytest.raises(InputError, match=r"prompts of several lengths.*one by one"):
        captioner_model.generate(**inputs)
    with pytest.raises(InputError, match="prompts of several lengths"):  # seen by the padding itself
        captioner_model.generate(inputs["pixel_values"], inputs["input_ids"])


def test_it_streams(captioner_model, processor, pictures, capsys):
    import transformers

    inputs = processor(images=pictures[0], return_tensors="pt")
    text = processor.decode(captioner_model.generate(**inputs)[0], skip_special_tokens=True)
    streamer = transformers.TextStreamer(processor.tokenizer, skip_special_tokens=True)
    captioner_model.generate(**inputs, streamer=streamer)
    assert capsys.readouterr().out.strip() == text
