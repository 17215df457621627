"""The report's section on confidence: how far it is from the share of texts that is right, and what it is good for."""

from __future__ import annotations

from collections.abc import Iterator

from blipvino.measure.evaluation.reliability_scores import Reliability
from blipvino.measure.recall.retrieval_evaluation import RetrievalEvaluation
from blipvino.measure.report.evaluation_tables import confidence_table, coverage_tables
from blipvino.measure.report.page.parts import Section, note, table
from blipvino.measure.report.report import Report
from blipvino.metrics.reliability import BINS
from blipvino.text.markup import Markup, element, join
from blipvino.text.tables import TextTable


def confidence(report: Report) -> Section | None:
    """Calibration error, accuracy of the surest texts, and the bins; nothing where it is not known what is right."""
    evaluation = report.evaluation
    if isinstance(evaluation, RetrievalEvaluation) or not evaluation.reliability:
        return None
    scores = evaluation.reliability
    rules = "; ".join(f"{score.kind}: {score.rule}" for score in scores)
    parts: list[Markup] = [
        element(
            "p",
            f"How sure the bundle is of its texts, beside how many of them are right. What counts as right: {rules}.",
        ),
        table(confidence_table(evaluation)),
        *(table(content) for content in coverage_tables(evaluation)),
        *_bins(scores),
        note(_about()),
    ]
    return Section("confidence", "Confidence", join(parts))


def _bins(scores: tuple[Reliability, ...]) -> Iterator[Markup]:
    for score in scores:
        rows = tuple(
            (f"{each.texts:,}", f"{100 * each.confidence:.2f}", f"{100 * each.right:.2f}") for each in score.bins
        )
        title = f"Bins of {score.kind}, the least sure first, %"
        yield table(TextTable(title, ("count", "mean confidence", "right"), rows))


def _about() -> str:
    return (
        f"Calibration error: texts are put into {BINS} bins of as many each by their confidence, and the difference "
        "between a bin's mean confidence and the share that is right is averaged over texts. A resample's error is "
        "larger than that of all texts by what chance adds, so its interval leans upward. Raw probabilities are the "
        "model's own, before anything was fitted. AURC is the mean share of wrong texts over all numbers of texts that "
        "may be kept, the surest first."
    )
