"""The report on a bundle for retrieval: recall, matching, sizes, latencies and layers; nothing of captions."""

import pytest
from report_subjects import DIGEST

from blipvino import BundleError, DataError, InputError
from blipvino.bundle.bundle import open_bundle
from blipvino.measure.recall.evaluate_retrieval import RetrievalRun, evaluate_retrieval
from blipvino.measure.recall.retrieval_evaluation import RetrievalOptions
from blipvino.measure.report.report import ReportOptions
from blipvino.measure.report.retrieval_report import known_evaluation
from blipvino.measure.report.write_report import ReportInputs, write_report


@pytest.fixture(scope="module")
def written(retrieval_int8, demo_retrieval, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    options = ReportOptions(latency_samples=2, diagnose_samples=2, images=24)
    inputs = ReportInputs(original=demo_retrieval.bundle, evaluation=folder / "evaluation")
    report = write_report(retrieval_int8, folder / "r.html", None, options, inputs, show_progress=False)
    return report, folder


def test_the_page_tells_of_retrieval(written):
    report, folder = written
    page = (folder / "r.html").read_text()
    for told in (
        *("Recall at k, %", "Claims judged rightly by matching", "Found first by both", "24 images"),
        *("embeds an image", "Drop of recall at 1", "text_embedding", "match_kv", "--images 24"),
        "Drop of recall and matching",
    ):
        assert told in page, told
    body = page.partition("</style>")[2]
    assert "VQA" not in body
    assert "--captions" not in body
    assert [latency.task for latency in report.cost.latencies] == [
        *("embedding an image", "embedding a text", "matching")
    ]
    assert [size.name for size in report.cost.sizes] == ["vision", "text encoder"]
    assert report.diagnosis is not None
    assert report.evaluation.data.images == 24


def test_an_evaluation_that_is_there_is_taken(written, retrieval_int8, tiny_retriever, tmp_path):
    report, folder = written
    evaluation = folder / "evaluation"
    assert known_evaluation(evaluation, open_bundle(retrieval_int8)) == report.evaluation
    assert known_evaluation(tmp_path, open_bundle(retrieval_int8)) is None
    with pytest.raises(BundleError, match="an evaluation of"):
        known_evaluation(evaluation, open_bundle(tiny_retriever.bundle))
    run = RetrievalRun(tmp_path / "alone", show_progress=False)
    few = RetrievalOptions(images=10)
    evaluate_retrieval(tiny_retriever.bundle, "demo:test", few, run, beside_original=False)
    with pytest.raises(InputError, match="evaluated alone"):
        known_evaluation(tmp_path / "alone", open_bundle(tiny_retriever.bundle))
    (tmp_path / "evaluation.json").write_text(f'{{"compressed": "{DIGEST}"}}')
    with pytest.raises(DataError, match="not a RetrievalEvaluation of this version"):
        known_evaluation(tmp_path, open_bundle(tiny_retriever.bundle))
