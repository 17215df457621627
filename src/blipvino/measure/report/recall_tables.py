"""An evaluation of a bundle for retrieval as tables of text. All figures are times 100, with 95% intervals."""

from __future__ import annotations

from collections.abc import Iterator

from blipvino.measure.recall.retrieval_evaluation import RetrievalEvaluation
from blipvino.measure.report.evaluation_tables import interval
from blipvino.metrics.bootstrap import Estimate
from blipvino.text.tables import TextTable


def recall_tables(evaluation: RetrievalEvaluation) -> tuple[TextTable, ...]:
    """What was evaluated, recall, matching, and what both models find and judge alike."""
    return (_evaluated(evaluation), recall_table(evaluation), matching_table(evaluation), *agreement_tables(evaluation))


def _evaluated(evaluation: RetrievalEvaluation) -> TextTable:
    data = evaluation.data
    models = [model for model in (evaluation.original, evaluation.compressed) if model is not None]
    rows = [(model.name, f"{model.place}, precision {model.precision}") for model in models]
    rows.append(("data", f"{data.name}: {data.images:,} images, {data.texts:,} texts, {data.claims:,} claims"))
    rows.append(("re-ranked", f"the {evaluation.options.candidates} most similar, by similarity and matching"))
    rows.append(("intervals", f"{evaluation.confidence:.0%}, {evaluation.resamples:,} resamples of the images"))
    return TextTable("Evaluated", ("", ""), tuple(rows), numbers=False)


def recall_table(evaluation: RetrievalEvaluation) -> TextTable:
    """Recall in both directions, by similarity and re-ranked."""
    columns = ("recall", "by", "k", *evaluation.names, *(("drop",) if evaluation.original else ()))
    rows = [
        (row.direction, _by(row.reranked), str(row.k), *_cells(row.original, row.compressed, row.drop))
        for row in evaluation.recall
    ]
    return TextTable("Recall at k, %", columns, tuple(rows))


def matching_table(evaluation: RetrievalEvaluation) -> TextTable:
    """Claims that are judged rightly, and alike."""
    beside = evaluation.original is not None
    columns = ("claims", "count", *evaluation.names, *(("drop", "agreement") if beside else ()))
    rows = [
        (row.kind, f"{row.claims:,}", *_cells(row.original, row.compressed, row.drop))
        + ((interval(row.agreement),) if beside else ())
        for row in evaluation.matching
    ]
    return TextTable("Claims judged rightly by matching, %", columns, tuple(rows))


def agreement_tables(evaluation: RetrievalEvaluation) -> Iterator[TextTable]:
    """How often both find the same first; nothing without an original."""
    if evaluation.agreement:
        rows = [(row.direction, _by(row.reranked), interval(row.agreement)) for row in evaluation.agreement]
        yield TextTable("Found first by both, %", ("", "by", "agreement"), tuple(rows))


def _by(reranked: bool) -> str:
    return "re-ranked" if reranked else "similarity"


def _cells(original: Estimate | None, compressed: Estimate, drop: Estimate | None) -> tuple[str, ...]:
    cells = (original, compressed, drop) if original is not None else (compressed,)
    return tuple(map(interval, cells))
