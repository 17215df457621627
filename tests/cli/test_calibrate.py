"""Fitting confidence from the command line."""

import json
import shutil

import numpy as np
import pytest
from command_line import refused, run

from blipvino import Blip
from blipvino.data import open_source, take
from blipvino.metrics.reliability import bin_statistics, calibration_error
from blipvino.metrics.right_captions import right_captions
from blipvino.metrics.vqa import vqa_accuracy


def test_the_demo_is_calibrated_when_it_is_optimized(bundle):
    record = json.loads((bundle / "manifest.json").read_text())["confidence"]
    assert {record[kind]["source"] for kind in ("answers", "captions")} == {"demo:validation"}
    assert all(record[kind]["accuracy"] > 0.9 for kind in record)


def test_the_demo_is_as_often_right_as_it_says(bundle):
    """On its test split, the expected calibration error is 3% at the most."""
    samples = take(open_source("demo:test"), 60, 1, spread=True)
    blip, images = Blip.load(bundle), [sample.image() for sample in samples]
    asked = [(image, sample.questions[0]) for image, sample in zip(images, samples, strict=True)]
    answers = blip.answer([image for image, _ in asked], [question.text for _, question in asked], return_scores=True)
    captions = blip.caption(images, return_scores=True)
    right = [vqa_accuracy(made.text, known.answers) for made, (_, known) in zip(answers, asked, strict=True)]
    told = right_captions([made.text for made in captions], [sample.captions for sample in samples], None)
    for texts, truth in ((answers, np.array(right)), (captions, told)):
        assert all(made.calibrated for made in texts)
        bins = bin_statistics([made.confidence for made in texts], truth)
        assert calibration_error(bins.sum(axis=0)) <= 0.03


def test_a_bundle_is_calibrated_and_forgets_it(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    told = run("calibrate", copy, "--data", "demo:validation", "--samples", 24, "--quiet", "--json").stdout
    fitted = json.loads(told)["fitted"]
    assert [(fit["kind"], fit["fitted"]["samples"]) for fit in fitted] == [("answers", 24), ("captions", 24)]
    assert "fitted on" not in run("info", copy, "--json").stdout
    assert "confidence of captions: fitted on 24 texts of demo:validation" in run("info", copy).stdout
    run("calibrate", copy, "--forget")
    assert json.loads((copy / "manifest.json").read_text())["confidence"] is None
    assert "confidence of captions: uncalibrated" in run("info", copy).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "needs labelled samples"),
        (["--data", "demo", "--caption-rule", "good"], "--caption-rule is 'good'"),
        (["--data", "demo", "--caption-rule", "20"], "least_cider is"),
        (["--forget", "--samples", 9], "--samples has no effect with --forget"),
    ],
)
def test_what_has_no_use_is_refused(bundle, options, message):
    assert message in str(refused("calibrate", bundle, *options))
