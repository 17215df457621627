"""An evaluation as tables of text. All figures are times 100, each with its 95% interval."""

from __future__ import annotations

from collections.abc import Iterator

from blipvino.measure.evaluation.evaluation import AnswerScore, Evaluation
from blipvino.measure.evaluation.evaluation_record import Model
from blipvino.metrics.bootstrap import Estimate
from blipvino.text.tables import TextTable

KINDS = {"all": "answer type", "answer type": "answer type", "question type": "question type"}
"""What the questions of a row have in common, and the heading of the table that the row is in."""


def evaluation_tables(evaluation: Evaluation) -> tuple[TextTable, ...]:
    """What was evaluated, accuracy, its drop and agreement by type of question, and caption metrics."""
    tables = (
        *(model_table(evaluation), *answer_tables(evaluation), caption_table(evaluation)),
        *(confidence_table(evaluation), *coverage_tables(evaluation)),
    )
    return tuple(table for table in tables if table.rows)


def model_table(evaluation: Evaluation) -> TextTable:
    """What was evaluated on what."""
    data, resampling = evaluation.data, f"{evaluation.resamples:,} resamples of the images"
    rows = [(model.name, _described(model.place, model.precision)) for model in _models(evaluation)]
    rows.append(("data", f"{data.name}: {data.questions:,} questions, {data.captioned:,} images to caption"))
    if data.questions:
        rows.append(("answers", evaluation.answering))
    rows.append(("intervals", f"{evaluation.confidence:.0%}, {resampling}"))
    return TextTable("Evaluated", ("", ""), tuple(rows), numbers=False)


def answer_tables(evaluation: Evaluation) -> Iterator[TextTable]:
    """Accuracy by answer type and by question type; and drop and agreement, where there is an original."""
    for heading in dict.fromkeys(KINDS.values()):
        rows = [row for row in evaluation.answers if KINDS[row.kind] == heading]
        if any(row.compressed for row in rows):
            columns = (heading, "count", *evaluation.names)
            cells = tuple((row.name, f"{row.questions:,}", *_accuracies(row, evaluation)) for row in rows)
            yield TextTable(f"VQA accuracy by {heading}, %", columns, cells)
        if evaluation.original is not None and rows:
            columns = (heading, "drop of accuracy", "agreement")
            cells = tuple((row.name, interval(row.drop), interval(row.agreement)) for row in rows)
            yield TextTable(f"Beside the original by {heading}, %", columns, cells).without_empty_columns()


def caption_table(evaluation: Evaluation) -> TextTable:
    """Caption metrics, and how often both models say the same."""
    beside = evaluation.original is not None
    columns = ("metric", *evaluation.names, *(["drop"] if beside else []))
    rows = [
        (row.metric, *([interval(row.original, 1)] if beside else []), interval(row.compressed, 1))
        + ((interval(row.drop, 1),) if beside else ())
        for row in evaluation.captions
    ]
    agreement = interval(evaluation.caption_agreement, 1)
    if agreement and not rows:  # what is right of photos without captions is not known
        return TextTable("Captions, %", ("", "agreement"), (("captions", agreement),))
    if agreement:
        rows.append(("agreement", "", agreement, ""))
    return TextTable("Captions: metrics × 100", columns, tuple(rows))


def confidence_table(evaluation: Evaluation) -> TextTable:
    """How far confidence is from the share of texts that is right."""
    columns = [
        (
            f"{row.texts:,}",
            interval(row.right),
            "fitted" if row.calibrated else "uncalibrated",
            interval(row.error),
            interval(row.raw_error),
            f"{100 * row.area:.2f}",
        )
        for row in evaluation.reliability
    ]
    figures = ("count", "right", "confidence is", "calibration error", "of raw probabilities", "AURC")
    rows = tuple((figure, *cells) for figure, *cells in zip(figures, *columns, strict=True)) if columns else ()
    return TextTable("Confidence, %", ("", *(row.kind for row in evaluation.reliability)), rows)


def coverage_tables(evaluation: Evaluation) -> Iterator[TextTable]:
    """What is right of the surest texts, and which confidence they have at least."""
    for row in evaluation.reliability:
        cells = tuple(
            (f"{100 * each.coverage:.0f}", interval(each.right), f"{100 * each.least_confidence:.2f}")
            for each in row.coverages
        )
        yield TextTable(f"The surest {row.kind}, %", ("kept", "right", "confidence from"), cells)


def interval(estimate: Estimate | None, digits: int = 2) -> str:
    """An estimate times 100 with its interval; nothing where there is none."""
    if estimate is None:
        return ""
    rounded = (round(100 * number, digits) + 0.0 for number in (estimate.value, estimate.low, estimate.high))  # no -0
    value, low, high = (f"{number:.{digits}f}" for number in rounded)
    return f"{value} [{low}, {high}]"


def _accuracies(row: AnswerScore, evaluation: Evaluation) -> Iterator[str]:
    if evaluation.original is not None:
        yield interval(row.original)
    yield interval(row.compressed)


def _models(evaluation: Evaluation) -> Iterator[Model]:
    if evaluation.original is not None:
        yield evaluation.original
    yield evaluation.compressed


def _described(place: str, precision: str | None) -> str:
    return place if precision is None else f"{place}, precision {precision}"
