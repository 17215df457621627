"""The report's section on accuracy, of a bundle for retrieval: recall, matching, and how the verdict tells them."""

from __future__ import annotations

from collections.abc import Iterator

from blipvino.measure.recall.retrieval_evaluation import MatchingScore, RecallScore, RetrievalEvaluation
from blipvino.measure.report.charts.charts import Whisker, whiskers
from blipvino.measure.report.evaluation_tables import interval
from blipvino.measure.report.measured_words import words_in
from blipvino.measure.report.page.parts import Section, figure, note, shortfall_note, table, typeset
from blipvino.measure.report.recall_tables import agreement_tables, matching_table, recall_table
from blipvino.metrics.bootstrap import Estimate
from blipvino.text.markup import Markup, element, join

ALLOWED = 0.5
"""Points of recall or matching that the chart marks: what a search allows other bundles to lose."""


def recall_and_matching(evaluation: RetrievalEvaluation) -> Section:
    """Recall in both directions, claims that are judged rightly, and what both models find first."""
    data = evaluation.data
    told = (
        f"{data.texts:,} texts and {data.images:,} images of {data.name} are found for one another, by similarity of "
        f"their embeddings and with the {evaluation.options.candidates} most similar put in order by matching; "
        f"{data.claims:,} claims about the images are judged by matching."
    )
    contents = [recall_table(evaluation), matching_table(evaluation), *agreement_tables(evaluation)]
    missing = shortfall_note(data.shortfall(evaluation.options))
    parts = [missing, element("p", told), _chart(evaluation), *map(table, contents), table(words_in(contents))]
    return Section("accuracy", "Accuracy", join([*parts, note(_about_intervals(evaluation))]))


def drops(evaluation: RetrievalEvaluation) -> list[tuple[str, Estimate]]:
    """What compression cost, of each figure that the verdict tells: its name, and the drop."""
    named = [(_name(row), row.drop) for row in evaluation.recall if row.k == 1]
    named += [(_kind(row), row.drop) for row in evaluation.matching]
    return [(name, drop) for name, drop in named if drop is not None]


def first_found(evaluation: RetrievalEvaluation) -> RecallScore:
    """The figure that users see: a text's image, put first by both steps of a search."""
    return next(row for row in evaluation.recall if row.direction == "text to image" and row.reranked and row.k == 1)


def _chart(evaluation: RetrievalEvaluation) -> Markup:
    rows = [_whisker(name, drop) for name, drop in drops(evaluation)]
    told = (
        "Recall at 1 and claims judged rightly that compression cost (original minus compressed), in points of 100, "
        f"with 95% intervals. The solid line is no change; the dashed line is {ALLOWED:g} points."
    )
    axis = ("← gained", "points", "lost →")
    return figure(whiskers("Drop of recall and matching", axis, rows, ALLOWED), told)


def _whisker(name: str, drop: Estimate) -> Whisker:
    value, low, high = (100 * number for number in (drop.value, drop.low, drop.high))
    return Whisker(name, typeset(interval(drop)), value, low, high, strong=name == "all claims")


def _name(row: RecallScore) -> str:
    return f"{row.direction}, {'re-ranked' if row.reranked else 'similarity'}"


def _kind(row: MatchingScore) -> str:
    return "all claims" if row.kind == "all" else f"claims: {row.kind}"


def _about_intervals(evaluation: RetrievalEvaluation) -> str:
    return (
        f"Figures in brackets are {evaluation.confidence:.0%} intervals: images were drawn with replacement "
        f"{evaluation.resamples:,} times, while what is looked through stayed as it is. A drop is computed on the same "
        "draws for both models; where its interval holds 0, it may be chance. The original computes in float32."
    )


def figures_of_recall(evaluation: RetrievalEvaluation) -> Iterator[tuple[str, str, str]]:
    """The tiles: name, figure, what it is of."""
    found, judged = first_found(evaluation), evaluation.matching[0]
    for name, drop, of in (
        ("Drop of recall at 1", found.drop, f"{evaluation.data.texts:,} texts, re-ranked"),
        ("Drop of matching", judged.drop, f"{judged.claims:,} claims"),
    ):
        if drop is not None:
            figure_, _, interval_ = interval(drop).partition(" ")
            yield name, figure_, f"points {interval_}: {of}"


def sentences_on_recall(evaluation: RetrievalEvaluation) -> Iterator[str]:
    """The verdict's: what is found first, and how claims are judged."""
    found, judged = first_found(evaluation), evaluation.matching[0]
    if found.drop is not None and found.original is not None:
        yield (
            f"Of {evaluation.data.images:,} images it puts a text's own first for {interval(found.compressed, 1)}% of "
            f"the texts, a drop of {interval(found.drop)} points."
        )
    if judged.drop is not None and judged.agreement is not None:
        yield (
            f"It judges {interval(judged.agreement, 1)}% of {judged.claims:,} claims as the original does, at a "
            f"drop of {interval(judged.drop)} points."
        )
