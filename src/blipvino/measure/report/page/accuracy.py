"""The report's section on accuracy: the drop by type of question, and caption metrics."""

from __future__ import annotations

from collections.abc import Iterator

from blipvino.checkpoint.architectures import answers_questions
from blipvino.measure.evaluation.evaluation import AnswerScore, Evaluation
from blipvino.measure.recall.retrieval_evaluation import RetrievalEvaluation
from blipvino.measure.report.charts.charts import Whisker, whiskers
from blipvino.measure.report.evaluation_tables import KINDS, caption_table, interval
from blipvino.measure.report.measured_words import words_in
from blipvino.measure.report.page.parts import Section, figure, note, shortfall_note, table, typeset
from blipvino.measure.report.page.recall_section import recall_and_matching
from blipvino.measure.report.report import Report
from blipvino.optimization.search.options import Search
from blipvino.text.markup import Markup, element, join
from blipvino.text.tables import TextTable

CHARTED_TYPES = 16
"""Question types that the chart shows; VQAv2 has 65, and the table has them all."""


def accuracy(report: Report) -> Section | None:
    """Accuracy, its drop and agreement, by type of answer and of question; caption metrics."""
    evaluation = report.evaluation
    if isinstance(evaluation, RetrievalEvaluation):
        return recall_and_matching(evaluation)
    parts = [*_answers(evaluation, report), *_captions(evaluation)]
    if not parts:
        return None
    missing = shortfall_note(_shortfall(evaluation, report))
    return Section("accuracy", "Accuracy", join([missing, *parts, note(_about_intervals(evaluation))]))


def _shortfall(evaluation: Evaluation, report: Report) -> str | None:
    if evaluation.options is None:
        return None
    return evaluation.data.shortfall(evaluation.options, answers_questions(report.bundle.manifest.architecture))


def _answers(evaluation: Evaluation, report: Report) -> Iterator[Markup]:
    if not evaluation.answers:
        return
    questions, name = evaluation.data.questions, evaluation.data.name
    yield element("p", f"{questions:,} questions of {name}; the answers are {evaluation.answering}.")
    charted = _charted(evaluation)
    if charted:
        yield _drop_figure(charted, evaluation, report)
    for heading in dict.fromkeys(KINDS.values()):
        rows = [row for row in evaluation.answers if KINDS[row.kind] == heading]
        if rows:
            yield table(answer_table(rows, heading, evaluation))


def _charted(evaluation: Evaluation) -> list[AnswerScore]:
    """All questions and every answer type, then the question types that lose most."""
    types = [row for row in evaluation.answers if row.kind == "question type"]
    types.sort(key=lambda row: (-row.drop.value if row.drop else 0.0, row.name))
    rows = [row for row in evaluation.answers if row.kind != "question type"] + types[:CHARTED_TYPES]
    return [row for row in rows if row.drop is not None]


def _drop_figure(charted: list[AnswerScore], evaluation: Evaluation, report: Report) -> Markup:
    searched = report.bundle.manifest.measurements.search
    limit = searched.max_drop if searched else Search().max_drop
    whose = "this bundle's recipe was searched for with" if searched else "a search for a recipe keeps to by default"
    told = (
        "Accuracy that compression cost (original minus compressed), in points of 100, with its 95% interval. "
        f"The solid line is no change; the dashed line is the limit of {limit:g} points that {whose}."
    )
    if len(charted) < len(evaluation.answers):
        told += f" Of the question types, the {CHARTED_TYPES} that lose most are shown."
    rows = [_whisker(row) for row in charted]
    return figure(
        whiskers("Drop of accuracy by type of question", ("← gained", "points of accuracy", "lost →"), rows, limit),
        told,
    )


def _whisker(row: AnswerScore) -> Whisker:
    assert row.drop is not None  # the others are not charted
    value, low, high = (100 * number for number in (row.drop.value, row.drop.low, row.drop.high))
    name = "all questions" if row.kind == "all" else row.name
    return Whisker(name, typeset(interval(row.drop)), value, low, high, strong=row.kind == "all")


def answer_table(rows: list[AnswerScore], heading: str, evaluation: Evaluation) -> TextTable:
    """Accuracy of both, its drop, and agreement; agreement alone where no question has known answers."""
    known = any(row.compressed for row in rows)
    columns = (*(evaluation.names if known else ()), *(("drop",) if known else ()), "agreement")
    cells = []
    for row in rows:
        told = [interval(row.original, 1), interval(row.compressed, 1), interval(row.drop)] if known else []
        cells.append((row.name, f"{row.questions:,}", *told, interval(row.agreement, 1)))
    title = f"{'VQA accuracy' if known else 'Agreement'} by {heading}, % [95% interval]"
    return TextTable(title, (heading, "questions", *columns), tuple(cells))


def _captions(evaluation: Evaluation) -> Iterator[Markup]:
    if evaluation.data.captioned:
        images = f"{evaluation.data.captioned:,} images of {evaluation.data.name}"
        references = "" if evaluation.captions else "; they have no reference captions, so only agreement is known"
        yield element("p", f"Captions: {images}{references}.")
        content = caption_table(evaluation)
        yield table(content)
        if evaluation.captions:
            yield table(words_in([content]))


def _about_intervals(evaluation: Evaluation) -> str:
    confidence = f"{evaluation.confidence:.0%}"
    return (
        f"Figures in brackets are {confidence} intervals: images were drawn with replacement {evaluation.resamples:,} "
        f"times, every figure was computed anew from those drawn, and {confidence} of them lie in the interval. "
        "It tells what another choice of images would change, not what another data set would. A drop is computed on "
        "the same draws for both models; where its interval holds 0, it may be chance. The original's answers are "
        "computed in float32. VQA accuracy counts an answer as right to the degree that the annotators gave it."
    )
