"""The log-probabilities that come with a text are those of transformers' ``compute_transition_scores``.

The oracle's are of the logits before any processor; it gets one image and one question at a time.
"""

import numpy as np
import pytest
from subjects import scene_image, scene_questions

from blipvino import GenerationOptions
from blipvino.runtime.decoding import generation
from blipvino.runtime.decoding.token_scores import Scores

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

CLOSE = 1e-3
"""Of probabilities, a thousandth of each: the order of additions differs, and questions are padded here."""
OPTIONS = (
    {"max_new_tokens": 1},
    {"max_new_tokens": 12},
    {"max_new_tokens": 10, "min_new_tokens": 6},
    {"max_new_tokens": 14, "repetition_penalty": 1.3},
    {"max_new_tokens": 16, "no_repeat_ngram_size": 2, "min_new_tokens": 8},
    {"num_beams": 3, "max_new_tokens": 12},
    {"num_beams": 3, "max_new_tokens": 12, "length_penalty": -1.0},
    {"num_beams": 9, "max_new_tokens": 10, "min_new_tokens": 2},
    {"num_beams": 5, "max_new_tokens": 9, "min_new_tokens": 3, "length_penalty": 0.5, "repetition_penalty": 1.3},
    {"num_beams": 3, "max_new_tokens": 16, "no_repeat_ngram_size": 2, "min_new_tokens": 8},
)
each_option = pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda options: " ".join(f"{name}={value}" for name, value in options.items())
)


def transition_scores(decoder, generated):
    """The oracle's tokens of the one row, and the log-probabilities of those that it generated."""
    indices = getattr(generated, "beam_indices", None)
    scores = decoder.compute_transition_scores(generated.sequences, generated.logits, indices, normalize_logits=True)
    length = scores.shape[1] if indices is None else int((indices >= 0).sum())
    return scores[0, :length].numpy()


def asked(**options):
    return {"output_logits": True, "return_dict_in_generate": True, **options}


@each_option
@torch.no_grad()
def test_scores_of_captions(subject, options):
    images, text = [scene_image(index) for index in range(3)], subject.oracle.config.text_config
    found = subject.exact.caption(images, return_scores=True, **options)
    for image, made in zip(images, found, strict=True):
        decoder = subject.oracle.text_decoder
        generated = decoder.generate(
            input_ids=torch.tensor([[text.bos_token_id]]),
            eos_token_id=text.sep_token_id,
            pad_token_id=text.pad_token_id,
            encoder_hidden_states=subject.oracle.vision_model(pixel_values=subject.pixel_values([image]))[0],
            **asked(**options),
        )
        expected = transition_scores(decoder, generated)
        assert_scores(made, expected)


@each_option
@torch.no_grad()
def test_scores_of_answers(answerer, options):
    image, questions = scene_image(4), scene_questions(4)[:3]
    found = answerer.exact.answer(image, questions, return_scores=True, **options)
    for question, made in zip(questions, found, strict=True):
        inputs = dict(answerer.tokenizer(question, return_tensors="pt"))
        inputs.pop("token_type_ids", None)
        generated = answerer.oracle.generate(pixel_values=answerer.pixel_values([image]), **inputs, **asked(**options))
        assert_scores(made, transition_scores(answerer.oracle.text_decoder, generated))


def assert_scores(made, expected):
    assert len(made.token_logprobs) == len(expected)
    np.testing.assert_allclose(made.token_logprobs, expected, atol=CLOSE)
    assert made.logprob == pytest.approx(expected.astype(float).sum(), abs=CLOSE * len(expected))
    assert made.mean_logprob == pytest.approx(made.logprob / len(expected))
    assert max(made.token_logprobs) <= 0


@torch.no_grad()
@pytest.mark.parametrize("options", [{"temperature": 0.6}, {"top_k": 3}, {"repetition_penalty": 1.3}, {"top_p": 0.8}])
def test_scores_of_drawn_texts(tiny_captioner, options):
    """Drawing is not transformers', so what was drawn is put to the oracle as a whole."""
    blip, text = tiny_captioner.exact, tiny_captioner.oracle.config.text_config
    images = [scene_image(index) for index in range(4)]
    found = blip.caption(images, return_scores=True, do_sample=True, seed=3, max_new_tokens=10, **options)
    for image, made in zip(images, found, strict=True):
        closing = [text.sep_token_id] if made.finish_reason == "stop" else []
        tokens = torch.tensor([[*made.token_ids, *closing]])
        embeds = tiny_captioner.oracle.vision_model(pixel_values=tiny_captioner.pixel_values([image]))[0]
        logits = tiny_captioner.oracle.text_decoder(input_ids=tokens, encoder_hidden_states=embeds).logits
        log_probs = torch.log_softmax(logits[0, :-1], dim=-1)
        assert_scores(made, log_probs.gather(1, tokens[0, 1:, None])[:, 0].numpy())


def test_texts_differ_in_how_likely_they_are(tiny_captioner):
    images = [scene_image(index) for index in range(4)]
    found = tiny_captioner.exact.caption(images, return_scores=True, max_new_tokens=10)
    assert len({made.logprob for made in found}) == 4
    assert all(made.logprob < -0.1 for made in found)


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"do_sample": True, "seed": 0}])
def test_a_sure_token_is_no_likelier_than_certain(options):
    """Logits of thousands leave the normalizer a rounding error, of either sign."""

    def step(input_ids, order):
        logits = np.tile(np.array([1234.5678, 3.0, -5.0], np.float32), (len(input_ids), 1))
        top = np.argsort(-logits, axis=1)
        largest = np.take_along_axis(logits, top, axis=1)
        normalizer = np.nextafter(largest[:, :1], np.float32(0))
        return Scores(top, largest, normalizer, lambda rows: logits[rows], np.arange(len(logits)))

    chosen = GenerationOptions(max_new_tokens=3, **options)
    (row,) = generation.generate(step, [1], generation.row_generators(1, 0), 0, chosen)
    assert row.log_probs == (0.0,)
