"""Fitting confidence from the command line."""

import json
import shutil

import pytest
from command_line import refused, run


def test_the_demo_is_calibrated_when_it_is_optimized(bundle):
    record = json.loads((bundle / "manifest.json").read_text())["confidence"]
    assert {record[kind]["source"] for kind in ("answers", "captions")} == {"demo:validation"}
    assert all(record[kind]["accuracy"] > 0.9 for kind in record)


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
