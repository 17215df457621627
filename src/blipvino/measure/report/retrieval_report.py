"""What a report on a bundle for retrieval tells, measured beside its original."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blipvino.bundle.bundle import Bundle
from blipvino.errors import BundleError, InputError
from blipvino.measure.cost import Cost, measure_cost
from blipvino.measure.evaluation.evaluation_record import RESULTS_FILE
from blipvino.measure.recall.evaluate_retrieval import RetrievalRun, evaluate_retrieval
from blipvino.measure.recall.retrieval_evaluation import (
    RetrievalEvaluation,
    RetrievalOptions,
)
from blipvino.measure.report.report import ReportOptions
from blipvino.measure.report.timed_samples import timed_samples
from blipvino.measure.retriever_pair import load_retrievers
from blipvino.progress import Reporter


def known_evaluation(folder: Path | None, bundle: Bundle) -> RetrievalEvaluation | None:
    """The evaluation in a folder; None where there is none.

    Raises:
        BundleError: it is of another bundle.
        InputError: it has no original.
        DataError: it cannot be read.
    """
    if folder is None or not (folder / RESULTS_FILE).is_file():
        return None
    found = RetrievalEvaluation.read(folder / RESULTS_FILE)
    if found.compressed.fingerprint != bundle.fingerprint:
        raise BundleError(f"{folder}: an evaluation of {found.compressed.place}, not of {bundle.folder} as it is now")
    if found.original is None:
        raise InputError(f"{folder}: the bundle was evaluated alone; evaluate it beside its original")
    return found


def evaluated(
    bundle: Bundle, original: Bundle, data: str, options: ReportOptions, folder: Path | None, show_progress: bool
) -> RetrievalEvaluation:
    """A bundle evaluated as a report has it, into a folder if there is one."""
    asked = RetrievalOptions(images=options.images, seed=options.seed)
    return evaluate_retrieval(bundle, data, asked, RetrievalRun(folder, show_progress=show_progress), original=original)


def retrieval_cost(original: Bundle, compressed: Bundle, data: str, options: ReportOptions, reporter: Reporter) -> Cost:
    """Sizes, and the time of embedding images, embedding texts and matching."""
    images = [replace(sample, questions=()) for sample in timed_samples(data, options, reporter)]
    return measure_cost(original, compressed, load_retrievers(original, compressed), images, reporter)
