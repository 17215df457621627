"""Fitting how sure a bundle may say it is, on labelled samples."""

import json
import math
import shutil

import numpy as np
import pytest
from PIL import Image
from subjects import EXACT, scene_image

from blipvino import Blip, CalibrationOptions, DataError, InputError, open_bundle, optimize
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.compress.outliers import OutlierOptions, add_outliers
from blipvino.data import open_source, take
from blipvino.demo import CHECKPOINT
from blipvino.metrics.reliability import bin_statistics, calibration_error
from blipvino.metrics.right_captions import caption_rule, right_captions
from blipvino.metrics.vqa import vqa_accuracy
from blipvino.optimization.calibrate_confidence import calibrate_confidence, forget_confidence

QUIET = {"show_progress": False, "options": EXACT}


@pytest.fixture
def copy(compressed, tmp_path):
    """A bundle of a random model, which is always wrong."""
    return shutil.copytree(compressed.folder, tmp_path / "bundle")


def test_a_model_that_is_always_wrong_is_not_sure(copy):
    before = Blip.load(copy, options=EXACT).answer(scene_image(3), "red?", return_scores=True)
    fits = calibrate_confidence(copy, "demo:validation", samples=30, **QUIET)
    assert [fit.kind for fit in fits] == ["answers", "captions"]
    blip = Blip.load(copy, options=EXACT)
    for fit in fits:
        assert (fit.fitted.source, fit.fitted.samples, fit.fitted.accuracy) == ("demo:validation", 30, 0.0)
        assert fit.error < fit.raw_error or fit.raw_error < 0.05
    after = blip.answer(scene_image(3), "red?", return_scores=True)
    assert after.calibrated and not before.calibrated
    assert after.confidence < 0.1
    assert after.token_logprobs == before.token_logprobs


def test_the_same_samples_fit_the_same(copy):
    first, second = (calibrate_confidence(copy, "demo:validation", samples=25, **QUIET) for _ in range(2))
    assert first == second
    assert calibrate_confidence(copy, "demo:validation", samples=25, seed=3, **QUIET) != first


def write_captioned(folder, count, caption="a red circle"):
    """Captioned pictures as COCO has them; returns the description of the source."""
    (folder / "images").mkdir(parents=True)
    for number in range(count):
        Image.fromarray(scene_image(number)).save(folder / "images" / f"{number}.png")
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(count)]
    annotations = [{"id": number, "image_id": number, "caption": caption} for number in range(count)]
    (folder / "captions.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return f"coco:{folder / 'captions.json'},{folder / 'images'}"


def test_captions_alone_leave_answers_as_they_are(copy, tmp_path):
    calibrate_confidence(copy, "demo:validation", samples=25, **QUIET)
    answers = open_bundle(copy).manifest.confidence.answers
    (fit,) = calibrate_confidence(copy, write_captioned(tmp_path / "coco", 22), **QUIET)
    assert (fit.kind, fit.fitted.samples, fit.fitted.least_cider) == ("captions", 22, 1.0)
    found = open_bundle(copy).manifest.confidence
    assert (found.answers, found.captions) == (answers, fit.fitted)
    forget_confidence(copy)
    assert open_bundle(copy).manifest.confidence is None


def test_texts_that_are_cut_off_are_fitted_apart(tiny_captioner, tmp_path):
    copy = shutil.copytree(tiny_captioner.bundle, tmp_path / "bundle")
    source = write_captioned(tmp_path / "coco", 40)
    made = Blip.load(copy, options=EXACT).caption([scene_image(number) for number in range(40)], return_scores=True)
    cut = sum(one.finish_reason == "length" for one in made)
    assert 0 < cut < 40
    (fit,) = calibrate_confidence(copy, source, **QUIET)
    assert fit.fitted.cut_off == pytest.approx(0.5 / (cut + 1))


def test_few_samples_and_unlabelled_ones_are_refused(copy, tmp_path):
    before = (copy / "manifest.json").read_bytes()
    with pytest.raises(DataError, match="19 answers, 19 captions could be judged, expected at least 20"):
        calibrate_confidence(copy, "demo:validation", samples=19, **QUIET)
    Image.fromarray(scene_image(0)).save(tmp_path / "one.png")
    with pytest.raises(DataError, match="0 answers, 0 captions"):
        calibrate_confidence(copy, f"folder:{tmp_path}", **QUIET)
    with pytest.raises(DataError, match="unknown source"):
        calibrate_confidence(copy, "nonsense:x", **QUIET)
    assert (copy / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("samples", 0), ("samples", "many"), ("seed", -1), ("least_cider", 0), ("least_cider", 11), ("least_cider", "x")],
)
def test_arguments_out_of_range_are_refused(copy, name, value):
    with pytest.raises(InputError, match=name):
        calibrate_confidence(copy, "demo:validation", **{**QUIET, name: value})


def test_the_rule_for_captions():
    assert caption_rule("demo:test", "auto") is None
    assert caption_rule("coco:captions.json", "auto") == 1.0
    assert caption_rule("coco:captions.json", None) is None
    assert caption_rule("demo:test", 0.5) == 0.5


@pytest.mark.slow
def test_a_ruined_model_knows_that_it_is_often_wrong(tmp_path):
    """Outliers in the demo that plain min-max quantization does not survive, as docs/accuracy.md has it."""
    with load_checkpoint(CHECKPOINT) as checkpoint:
        add_outliers(checkpoint, tmp_path / "stressed", OutlierOptions(factor=50, channels=4))
    options = {"calibration": CalibrationOptions("demo", 100), "show_progress": False}
    bundle = optimize(tmp_path / "stressed", tmp_path / "ruined", recipe="minmax", **options)
    fits = calibrate_confidence(bundle, "demo:validation", samples=600, show_progress=False)
    blip = Blip.load(bundle.folder)
    samples = take(open_source("demo:test"), 600, spread=True)
    images = [sample.image() for sample in samples]
    questions = [sample.questions[0] for sample in samples]
    answers = blip.answer(images, [question.text for question in questions], return_scores=True)
    captions = blip.caption(images, return_scores=True)
    judged = (
        (answers, np.array([vqa_accuracy(a.text, q.answers) for a, q in zip(answers, questions, strict=True)])),
        (captions, right_captions([made.text for made in captions], [sample.captions for sample in samples], None)),
    )
    for fit, (texts, right) in zip(fits, judged, strict=True):
        raw, fitted = (
            float(calibration_error(bin_statistics(sure, right).sum(axis=0)))
            for sure in ([math.exp(made.logprob) for made in texts], [made.confidence for made in texts])
        )
        assert fit.fitted.accuracy < 0.97
        assert fitted < raw / 1.5
