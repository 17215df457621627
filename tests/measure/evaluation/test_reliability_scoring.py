"""Scores of confidence: of whom it is known whether they are right, and by which rule."""

import json
import math
from dataclasses import replace

import pytest
from evaluation_subjects import OPTIONS, lines, question, quiet, sample

from blipvino.bundle.records import ConfidenceRecord, FittedConfidence
from blipvino.errors import OutputError
from blipvino.measure.evaluation.evaluate import evaluate_bundle
from blipvino.measure.evaluation.evaluation import read_evaluation
from blipvino.measure.evaluation.predictions import TextScore
from blipvino.measure.evaluation.reliability_scoring import score_reliability
from blipvino.measure.evaluation.result_files import Texts
from blipvino.measure.evaluation.selection import Assignment

TRUE = ("yes",)
FITTED = FittedConfidence(1.0, 0.0, "demo:validation", 300, 42, 0.9)


def scored(probability, cut_off=False):
    return TextScore(math.log(probability), cut_off)


def asked(*answers, known=TRUE):
    """Two questions an image: of each the answer and its probability."""
    questions = [question(number, known) for number in range(len(answers))]
    images = [sample(number, *questions[number : number + 2]) for number in range(0, len(questions), 2)]
    texts = Texts(
        {number: text for number, (text, _) in enumerate(answers)},
        answer_scores={number: scored(probability) for number, (_, probability) in enumerate(answers)},
    )
    return [Assignment(image, False) for image in images], texts


def test_errors_and_coverages_worked_by_hand():
    assignments, texts = asked(*[("yes", 0.9), ("no", 0.6), ("yes", 0.8), ("yes", 0.7)] * 25)
    (found,) = score_reliability(assignments, texts, None, "mine", seed=1)
    assert (found.kind, found.texts, found.calibrated) == ("answers", 100, False)
    assert found.right.value == 0.75
    assert found.error.value == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4)
    assert found.raw_error == found.error
    rows = {row.coverage: row for row in found.coverages}
    assert rows[0.5].right.value == 1.0
    assert rows[0.5].least_confidence == pytest.approx(0.8)
    assert rows[0.8].right.value == pytest.approx(0.75 / 0.8)
    assert sum(each.texts for each in found.bins) == 100
    assert [each.right for each in found.bins] == [0.0, 1.0, 1.0, 1.0]
    assert 0 < found.area < 0.25


def test_what_was_fitted_is_what_is_scored():
    assignments, texts = asked(*[("yes", 0.9), ("no", 0.9)] * 20)
    record = ConfidenceRecord(answers=replace(FITTED, offset=-math.log(9)))
    (found,) = score_reliability(assignments, texts, record, "mine", seed=1)
    assert found.calibrated
    assert found.error.value == pytest.approx(0, abs=1e-9)
    assert found.raw_error.value == pytest.approx(0.4)


def test_texts_that_were_cut_off_have_their_own_confidence():
    assignments, texts = asked(("no", 0.9), ("no", 0.9))
    texts = replace(texts, answer_scores={0: scored(0.9, True), 1: scored(0.9)})
    record = ConfidenceRecord(answers=replace(FITTED, cut_off=0.0))
    (found,) = score_reliability(assignments, texts, record, "mine", seed=1)
    assert found.error.value == pytest.approx(0.45)


def captioned(*captions):
    reference = "a red dog on the green grass"
    samples = [sample(number, captions=(reference if number else "two cats",)) for number in range(len(captions))]
    scores = {number: scored(0.5) for number in range(len(captions))}
    return [Assignment(one, True) for one in samples], Texts(captions=dict(enumerate(captions)), caption_scores=scores)


def test_captions_are_right_by_the_rule_of_the_fit_or_of_the_data():
    given = captioned("two cats", "a red dog on green grass", "a plane", "a red dog on the green grass")
    shares = {
        ("demo:test", None): 0.5,
        ("coco:captions.json", None): 0.75,
        ("coco:captions.json", FITTED): 0.5,
        ("demo:test", replace(FITTED, least_cider=0.5)): 0.75,
    }
    for (source, fitted), share in shares.items():
        record = None if fitted is None else ConfidenceRecord(captions=fitted)
        (found,) = score_reliability(*given, record, source, seed=1)
        assert found.right.value == share
        assert ("CIDEr-D" in found.rule) == (share == 0.75)


def test_nothing_is_said_where_nothing_is_known():
    assignments, texts = asked(("yes", 0.9), ("no", 0.6), known=())
    assert score_reliability(assignments, texts, None, "mine", seed=1) == ()
    assignments, texts = asked(("yes", 0.9), ("no", 0.6))
    assert score_reliability(assignments, replace(texts, answer_scores={}), None, "mine", seed=1) == ()


def test_an_evaluation_tells_it_and_keeps_it(done):
    evaluation, folder = done
    assert [row.kind for row in evaluation.reliability] == ["answers", "captions"]
    assert evaluation.reliability[0].right == evaluation.answers[0].compressed
    assert read_evaluation(folder).reliability == evaluation.reliability
    content = json.loads((folder / "evaluation.json").read_text())
    del content["reliability"]
    (folder.parent / "before.json").write_text(json.dumps(content))
    assert read_evaluation(folder.parent / "before.json").reliability == ()


def test_predictions_of_before_are_not_gone_on_with(done, int8, tmp_path):
    whole = lines(done[1] / "predictions-compressed.jsonl")
    header = json.loads(whole[0])
    del header["scores"]
    (tmp_path / "predictions-compressed.jsonl").write_text(json.dumps(header) + "\n")
    with pytest.raises(OutputError, match="scores False there, True here"):
        evaluate_bundle(int8, "demo:test", OPTIONS, quiet(tmp_path), beside_original=False)
