"""Writing what was fitted into a finished bundle: whole or not at all, and into no other bundle."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from blipvino import Blip, BundleError, open_bundle
from blipvino.bundle import amending
from blipvino.bundle.amending import write_confidence
from blipvino.bundle.records import FittedConfidence

FITTED = FittedConfidence(2.0, -0.5, "demo:validation", 300, 42, 0.9)


@pytest.fixture
def bundle(compressed, tmp_path):
    return open_bundle(shutil.copytree(compressed.folder, tmp_path / "bundle"))


def manifest(bundle):
    return json.loads((bundle.folder / "manifest.json").read_text())


def test_what_was_fitted_is_kept_beside_all_else(bundle):
    before = manifest(bundle)
    changed = write_confidence(bundle, {"answers": FITTED})
    assert changed.manifest.confidence.answers == FITTED
    assert changed.manifest.confidence.captions is None
    assert open_bundle(bundle.folder).manifest == changed.manifest  # every file is as it was
    assert changed.fingerprint == bundle.fingerprint
    after = manifest(bundle)
    assert {name: after[name] for name in before if name != "confidence"} == {
        name: before[name] for name in before if name != "confidence"
    }
    assert not [path for path in bundle.folder.iterdir() if path.name.startswith(".")]


def test_kinds_do_not_forget_each_other(bundle):
    write_confidence(bundle, {"answers": FITTED})
    captions = replace(FITTED, temperature=3.0, least_cider=1.0, cut_off=0.25)
    found = write_confidence(bundle, {"captions": captions}).manifest.confidence
    assert (found.answers, found.captions) == (FITTED, captions)
    write_confidence(bundle, {"answers": None, "captions": None})
    assert manifest(bundle)["confidence"] is None


def test_what_a_later_version_put_there_is_kept(bundle):
    content = {**manifest(bundle), "of_later": {"a": 1}}
    (bundle.folder / "manifest.json").write_text(json.dumps(content))
    write_confidence(bundle, {"answers": FITTED})
    assert manifest(bundle)["of_later"] == {"a": 1}


def test_a_bundle_of_before_loads_and_says_nothing_of_it(bundle):
    content = manifest(bundle)
    content.pop("confidence", None)
    (bundle.folder / "manifest.json").write_text(json.dumps(content))
    assert open_bundle(bundle.folder).manifest.confidence is None
    assert Blip.load(bundle.folder).bundle.manifest.confidence is None


@pytest.mark.parametrize(
    "record",
    [
        {"answers": {"temperature": 0, "offset": 0, "source": "x", "samples": 1, "seed": 1, "accuracy": 1.0}},
        {"answers": {"temperature": 1.0, "offset": 0.0}},
        {"captions": {**FITTED.__dict__, "cut_off": 2.0}},
        {"answers": {**FITTED.__dict__, "offset": "much"}},
    ],
)
def test_a_record_that_scales_nothing_is_refused(bundle, record):
    content = {**manifest(bundle), "confidence": record}
    (bundle.folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match="confidence"):
        open_bundle(bundle.folder)


def test_a_bundle_that_was_replaced_meanwhile_is_left_alone(bundle, tiny_int8):
    shutil.rmtree(bundle.folder)
    shutil.copytree(tiny_int8, bundle.folder)
    before = manifest(bundle)
    with pytest.raises(BundleError, match="replaced by another bundle"):
        write_confidence(bundle, {"answers": FITTED})
    assert manifest(bundle) == before


def test_a_bundle_that_is_replaced_at_the_last_moment_is_left_alone(bundle, tiny_int8, monkeypatch):
    """The folder changes after the last look at its manifest: what was written lies in the old one."""
    replaced = []

    def swap(path, text):
        Path(path).write_text(text)
        if not replaced:
            replaced.append(bundle.folder.rename(bundle.folder.with_name("old")))
            shutil.copytree(tiny_int8, bundle.folder)

    monkeypatch.setattr(amending, "_write_through", swap)
    with pytest.raises(BundleError):
        write_confidence(bundle, {"answers": FITTED})
    assert manifest(bundle)["confidence"] is None
    assert not [path for path in bundle.folder.iterdir() if path.name.startswith(".")]


def test_many_writers_leave_one_whole_manifest(bundle):
    several = [replace(FITTED, temperature=float(number)) for number in range(1, 9)]
    kinds = ["answers", "captions"] * 4
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda kind, fitted: write_confidence(bundle, {kind: fitted}), kinds, several))
    found = open_bundle(bundle.folder).manifest.confidence
    assert found.answers in several[::2]
    assert found.captions in several[1::2]


def test_a_bundle_that_is_gone_is_told(bundle):
    shutil.rmtree(bundle.folder)
    with pytest.raises(BundleError, match="cannot be written"):
        write_confidence(bundle, {"answers": FITTED})
