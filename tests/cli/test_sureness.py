"""How sure texts are, on the command line; and texts that are left blank."""

import json
import re
import shutil

import pytest
from command_line import refused, run

from blipvino.bundle.amending import write_confidence
from blipvino.bundle.bundle import open_bundle
from blipvino.bundle.records import FittedConfidence

QUESTIONS = ("how many objects are there?", "what color is the circle?")


@pytest.fixture(scope="module")
def unsure(bundle, tmp_path_factory):
    """The bundle as one that knows that it is right in half of the cases, whatever it says."""
    copy = shutil.copytree(bundle, tmp_path_factory.mktemp("unsure") / "bundle")
    fitted = FittedConfidence(1e6, 0.0, "mine", 100, 1, 0.5)
    write_confidence(open_bundle(copy), {"answers": fitted, "captions": None})
    return copy


def test_scores_follow_the_text(bundle, photo):
    plain = run("caption", bundle, photo).stdout.strip()
    assert re.fullmatch(rf"{plain} \(\d+\.\d%\)", run("caption", bundle, photo, "--scores").stdout.strip())


def test_scores_in_json_are_all_that_is_known(bundle, blip, photo):
    rows = json.loads(run("ask", bundle, photo, *QUESTIONS, "--scores", "--json").stdout)
    for row, made in zip(rows, blip.answer(photo, QUESTIONS, return_scores=True), strict=True):
        assert row["answer"] == made.text
        assert row["calibrated"] is True
        assert row["confidence"] == pytest.approx(made.confidence, abs=1e-3)
        assert row["token_logprobs"] == pytest.approx(made.token_logprobs, abs=1e-3)
        assert row["logprob"] == pytest.approx(sum(row["token_logprobs"]))
        assert row["mean_logprob"] == pytest.approx(row["logprob"] / len(row["token_logprobs"]))
        assert "withheld" not in row
    assert "confidence" not in json.loads(run("ask", bundle, photo, QUESTIONS[0], "--json").stdout)[0]


def test_texts_that_are_too_unsure_are_blank(unsure, photo, tmp_path):
    told = run("ask", unsure, photo, *QUESTIONS, "--min-confidence", 0.6, "--jsonl")
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(row["answer"], row["withheld"]) for row in rows] == [(None, True)] * 2
    assert "2 of 2 texts left blank" in told.stderr
    assert "uncalibrated" not in told.stderr
    shown = run("ask", unsure, photo, *QUESTIONS, "--min-confidence", 0.6, "--scores").stdout.splitlines()
    assert shown == [f"{question}  (50.0%)" for question in QUESTIONS]
    kept = run("ask", unsure, photo, QUESTIONS[0], "--min-confidence", 0.4, "--json")
    assert json.loads(kept.stdout)[0]["answer"]
    assert "left blank" not in kept.stderr
    answers = tmp_path / "answers.txt"
    answers.write_text("one\ntwo\nthree\n")
    ranked = run(
        "ask", unsure, photo, QUESTIONS[0], "--answers", answers, "--min-confidence", 0.6, "--json", "--scores"
    )
    (row,) = json.loads(ranked.stdout)
    assert (row["answer"], row["withheld"], row["confidence"]) == (None, True, pytest.approx(0.5, abs=1e-3))
    assert "token_logprobs" not in row


def test_a_text_that_is_withheld_is_kept_nowhere(unsure, photo, tmp_path):
    image = shutil.copy(photo, tmp_path / "one.png")
    run(
        "ask", unsure, image, QUESTIONS[0], "--min-confidence", 0.6, "--sidecar", "txt", "--picture", tmp_path / "p.png"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_what_was_not_fitted_is_said_to_be_uncalibrated(unsure, photo):
    told = run("caption", unsure, photo, "--scores")
    assert re.search(r"\(\d+\.\d%, uncalibrated\)", told.stdout)
    assert "confidence is uncalibrated" in told.stderr
    assert "uncalibrated" not in run("caption", unsure, photo).stderr


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan"])
def test_a_confidence_that_is_none_is_refused(bundle, photo, value):
    assert "min_confidence is" in str(refused("caption", bundle, photo, "--min-confidence", value))
