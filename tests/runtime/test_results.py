"""Confidence of texts, and texts that are left blank below one."""

import math
from dataclasses import replace

import pytest
from subjects import QUESTIONS, scene_image

from blipvino import Blip, InputError
from blipvino.bundle.records import ConfidenceRecord, FittedConfidence
from blipvino.runtime.results import Confidence

FITTED = FittedConfidence(2.0, -0.5, "demo:validation", 300, 42, 0.9)
SHORT = {"max_new_tokens": 6}
IMAGES = [scene_image(index) for index in range(4)]


def with_record(blip, record):
    """The same model, of a bundle with another record of confidence."""
    bundle = blip.components.bundle
    manifest = replace(bundle.manifest, confidence=record)
    return Blip(replace(blip.components, bundle=replace(bundle, manifest=manifest)))


def test_what_was_not_fitted_is_the_probability(tiny_vqa):
    for made in (
        *tiny_vqa.exact.caption(IMAGES, return_scores=True, **SHORT),
        *tiny_vqa.exact.answer(IMAGES[0], QUESTIONS, return_scores=True, num_beams=2, **SHORT),
    ):
        assert made.confidence == pytest.approx(math.exp(made.logprob))
        assert not made.calibrated


def test_what_was_fitted_is_used_for_its_kind_alone(tiny_vqa):
    blip = with_record(tiny_vqa.exact, ConfidenceRecord(answers=FITTED))
    before = tiny_vqa.exact.answer(IMAGES[0], QUESTIONS, return_scores=True, **SHORT)
    after = blip.answer(IMAGES[0], QUESTIONS, return_scores=True, **SHORT)
    for raw, made in zip(before, after, strict=True):
        logit = math.log(raw.confidence) - math.log1p(-raw.confidence)
        assert made.confidence == pytest.approx(1 / (1 + math.exp(-(logit / 2 - 0.5))))
        assert made.calibrated
        assert (made.text, made.token_logprobs) == (raw.text, raw.token_logprobs)
    assert not blip.caption(IMAGES[0], return_scores=True, **SHORT).calibrated
    ranking = blip.rank(IMAGES[0], QUESTIONS[0], ["red", "blue"])
    assert ranking.calibrated
    assert ranking.confidence == pytest.approx(FITTED.scale.confidence(ranking.log_likelihoods[0]))
    raw = tiny_vqa.exact.rank(IMAGES[0], QUESTIONS[0], ["red", "blue"])
    assert (raw.calibrated, raw.confidence) == (False, pytest.approx(math.exp(raw.log_likelihoods[0])))


def test_texts_that_were_cut_off_have_a_confidence_of_their_own(tiny_vqa):
    record = ConfidenceRecord(captions=replace(FITTED, cut_off=0.125))
    found = with_record(tiny_vqa.exact, record).caption(IMAGES, return_scores=True, max_new_tokens=4)
    cut = [made for made in found if made.finish_reason == "length"]
    assert cut
    assert {made.confidence for made in cut} == {0.125}
    assert Confidence(FITTED).of(-1.0, cut_off=True) == Confidence(FITTED).of(-1.0)


def test_texts_below_the_least_confidence_are_blank(tiny_captioner):
    blip = tiny_captioner.exact
    found = blip.caption(IMAGES, return_scores=True, **SHORT)
    border = sorted(made.confidence for made in found)[2]
    kept = blip.caption(IMAGES, return_scores=True, min_confidence=border, **SHORT)
    assert [made.withheld for made in kept] == [made.confidence < border for made in found]
    assert sum(made.withheld for made in kept) == 2
    for made, whole in zip(kept, found, strict=True):
        assert made.text == ("" if made.withheld else whole.text)
        assert made.token_ids == whole.token_ids
    texts = [made.text for made in kept]
    assert blip.caption(IMAGES, min_confidence=border, **SHORT) == texts
    assert list(blip.caption_stream(IMAGES, min_confidence=border, **SHORT)) == texts
    streamed = list(blip.caption_stream(IMAGES, min_confidence=border, return_scores=True, **SHORT))
    assert [made.withheld for made in streamed] == [made.withheld for made in kept]


def test_no_text_is_blank_without_one(tiny_vqa):
    for least in (None, 0, 0.0):
        made = tiny_vqa.exact.answer(IMAGES[0], QUESTIONS[0], min_confidence=least, return_details=True)
        assert not made.withheld


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "high", True, [0.5]])
def test_a_confidence_that_is_no_probability_is_refused(tiny_vqa, value):
    for call in (
        lambda: tiny_vqa.exact.caption(IMAGES[0], min_confidence=value),
        lambda: tiny_vqa.exact.answer(IMAGES[0], QUESTIONS[0], min_confidence=value),
        lambda: tiny_vqa.exact.caption_stream(IMAGES, min_confidence=value),
    ):
        with pytest.raises(InputError, match="min_confidence is"):
            call()


@pytest.mark.parametrize("name", ["return_scores", "return_details"])
def test_what_is_to_be_returned_is_yes_or_no(tiny_vqa, name):
    with pytest.raises(InputError, match=f"{name} is 1, expected True or False"):
        tiny_vqa.exact.caption(IMAGES[0], **{name: 1})
