"""Making a report: what is measured, what is taken as it is, and how often files are hashed."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from report_subjects import Page, diagnosis

from blipvino import Blip
from blipvino.bundle.bundle import open_bundle, sha256_of
from blipvino.errors import BundleError, DataError, InputError, OutputError
from blipvino.measure.comparison import CompareOptions, compare_with
from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle
from blipvino.measure.evaluation.evaluate import RunOptions, evaluate_bundle
from blipvino.measure.evaluation.evaluation import (
    EvaluateOptions,
)
from blipvino.measure.report.report import ReportOptions
from blipvino.measure.report.write_report import ReportInputs, write_report

SHORT = ReportOptions(6, 2, 1, 2, 8)


def test_a_report_is_measured_and_written_and_goes_on_where_it_was(compressed, tiny_vqa, tmp_path, monkeypatch):
    path, given = tmp_path / "new" / "report.html", ReportInputs(original=tiny_vqa.bundle)
    made = write_report(compressed.folder, path, "demo:test", SHORT, given, show_progress=False)
    page = Page(path.read_text())
    assert page.sections == [
        *("summary", "samples", "accuracy", "confidence", "sizes", "latency", "reproduce", "environment", "layers")
    ]
    assert made.diagnosis.fingerprint == compressed.fingerprint and made.diagnosis.data.startswith(
        "demo:test, 2 samples"
    )
    assert len(page.all("img")) == len(made.examples) >= 1
    assert "The recipe is not one of the command line's" in page.text
    assert made.evaluation.data.questions == 6
    (work,) = (tmp_path / "new" / "report.work").iterdir()
    said = (work / "predictions-compressed.jsonl").read_bytes()
    monkeypatch.setattr(Blip, "answer", None)  # nothing is asked again
    nothing_timed = replace(SHORT, latency_samples=0, diagnose_samples=0)
    again = write_report(compressed.folder, path, "demo:test", nothing_timed, given, show_progress=False)
    assert (work / "predictions-compressed.jsonl").read_bytes() == said
    assert again.evaluation.answers == made.evaluation.answers
    assert not {"latency", "layers"} & set(Page(path.read_text()).sections)
    taken = replace(given, evaluation=work)
    assert write_report(compressed.folder, path, None, nothing_timed, taken, show_progress=False).data == "demo:test"


@pytest.fixture
def hashed(monkeypatch):
    """The files that are hashed from now on, each as often as it is."""
    paths = []

    def spy(path):
        paths.append(path)
        return sha256_of(path)

    monkeypatch.setattr("blipvino.bundle.bundle.sha256_of", spy)
    return paths


def listed_files(*bundles):
    return Counter(bundle.path(name) for bundle in bundles for name in bundle.manifest.files)


def test_a_report_hashes_every_file_of_both_bundles_once(compressed, tiny_vqa, tmp_path, hashed):
    original = open_bundle(tiny_vqa.bundle)  # made now, if no test before needed it
    hashed.clear()
    inputs = ReportInputs(original=original.folder)
    write_report(compressed.folder, tmp_path / "report.html", "demo:test", SHORT, inputs, show_progress=False)
    assert Counter(hashed) == listed_files(compressed, original)


@pytest.mark.slow
def test_opened_bundles_are_hashed_no_more(compressed, tiny_vqa, tmp_path, hashed):
    opened, original = open_bundle(compressed.folder), open_bundle(tiny_vqa.bundle)
    hashed.clear()
    inputs = ReportInputs(original=original)
    made = write_report(opened, tmp_path / "report.html", "demo:test", SHORT, inputs, show_progress=False)
    assert made.bundle is opened and made.evaluation.original.fingerprint == original.fingerprint
    run = RunOptions(show_progress=False)
    evaluated = evaluate_bundle(opened, "demo:test", EvaluateOptions(1, 1, 4), run, original=original)
    assert evaluated.names == (original.label, opened.label)
    diagnosed = diagnose_bundle(opened, "demo:test", DiagnoseOptions(1), show_progress=False)
    assert diagnosed.fingerprint == opened.fingerprint
    compared = compare_with(original, opened, "demo:test", CompareOptions(1, 1, 4), show_progress=False)
    assert compared.compressed == str(opened.folder)
    assert not hashed


def test_an_opened_original_must_have_the_same_weights(compressed, tiny_captioner):
    other = open_bundle(tiny_captioner.bundle)
    with pytest.raises(BundleError, match="weights differ"):
        compare_with(other, compressed, "demo:test", CompareOptions(1, 1, 4), show_progress=False)


def test_what_is_given_must_be_of_the_bundle(compressed, tiny_vqa, tmp_path):
    def refused(error, match, path=tmp_path / "report.html", **given):
        with pytest.raises(error, match=match):
            write_report(compressed.folder, path, "demo:test", SHORT, ReportInputs(**given), show_progress=False)
        assert not path.exists()

    run = RunOptions(tmp_path / "other", show_progress=False)
    evaluate_bundle(tiny_vqa.bundle, "demo:test", EvaluateOptions(1, 0, 4), run, beside_original=False)
    refused(BundleError, "an evaluation of", evaluation=tmp_path / "other")
    run = RunOptions(tmp_path / "alone", show_progress=False)
    evaluate_bundle(compressed.folder, "demo:test", EvaluateOptions(1, 0, 4), run, beside_original=False)
    refused(InputError, "evaluate it beside its original", evaluation=tmp_path / "alone")
    (tmp_path / "diagnosis.json").write_text("{}")
    refused(DataError, "not a diagnosis", diagnosis=tmp_path / "diagnosis.json")
    (tmp_path / "diagnosis.json").write_text(json.dumps(diagnosis().to_json()))
    refused(BundleError, "a diagnosis of out/bundle", diagnosis=tmp_path / "diagnosis.json")
    refused(OutputError, "ends in .html", path=tmp_path / "report.pdf")
