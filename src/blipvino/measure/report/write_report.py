"""Making a report: measure what is not given, and write the page."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from blipvino.bundle.bundle import Bundle
from blipvino.bundle.manifest import MANIFEST_FILE
from blipvino.checkpoint.architectures import retrieves
from blipvino.errors import BundleError, DataError, InputError, OutputError
from blipvino.files.atomic import make_folder, write_text
from blipvino.files.sample_files import read_json
from blipvino.measure.cost import Cost, load_pair, measure_cost
from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, compressed_graphs, diagnose_bundle
from blipvino.measure.diagnosis.diagnosis import Diagnosis
from blipvino.measure.evaluation.evaluate import RunOptions, evaluate_bundle
from blipvino.measure.evaluation.evaluation import EvaluateOptions, Evaluation, read_evaluation
from blipvino.measure.evaluation.evaluation_record import RESULTS_FILE
from blipvino.measure.opened import new_tokens, opened_bundle
from blipvino.measure.report.page.gallery import find_examples
from blipvino.measure.report.page.page import report_page
from blipvino.measure.report.report import Report, ReportOptions
from blipvino.measure.report.retrieval_report import evaluated, known_evaluation, retrieval_cost
from blipvino.measure.report.timed_samples import timed_samples
from blipvino.optimization.original import open_original
from blipvino.progress import Reporter

__all__ = ["DEFAULT_DATA", "ReportInputs", "read_diagnosis", "write_report"]

DEFAULT_DATA = "demo:test"


@dataclass(frozen=True)
class ReportInputs:
    """What is there already, and need not be made or measured.

    Attributes:
        original: a bundle, opened or not, or a checkpoint; by default what the bundle was made from.
        evaluation: a folder of `blipvino evaluate`. If it is complete it is taken as it is; else it is gone on with.
            By default one in the report's work folder, ``REPORT.work``.
        diagnosis: a file of `blipvino diagnose`.
    """

    original: str | Path | Bundle | None = None
    evaluation: Path | None = None
    diagnosis: Path | None = None


def write_report(
    bundle: str | Path | Bundle,
    output: Path,
    data: str | None = None,
    options: ReportOptions | None = None,
    inputs: ReportInputs | None = None,
    *,
    show_progress: bool = True,
) -> Report:
    """Measure a bundle beside its original, and write one HTML file about it.

    Args:
        bundle: its folder, or the bundle opened (and so verified) already.
        output: the file. What models say is kept in a folder beside it, so that a stopped run goes on.
        data: samples, as `open_source` takes them; by default those of the given evaluation, or the demo's test split.
        options: how much to measure.
        inputs: what need not be made or measured.
        show_progress: on standard error.

    Raises:
        BlipvinoError: the bundle, its original, the data or an input cannot be used, or the file not be written.
    """
    options, inputs, reporter = options or ReportOptions(), inputs or ReportInputs(), Reporter(show_progress)
    if output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{output}: a report is an HTML file; give a name that ends in .html")
    compressed = opened_bundle(bundle)
    if retrieves(compressed.manifest.architecture):
        report = _on_retrieval(compressed, data, options, inputs, reporter)
        make_folder(output.parent)
        write_text(output, report_page(report))
        return report
    found = None if inputs.evaluation is None else _complete(inputs.evaluation, compressed)
    diagnosis = None if inputs.diagnosis is None else _diagnosis_of(inputs.diagnosis, compressed)
    chosen = data or (found.data.source if found else DEFAULT_DATA)
    options = replace(options, max_new_tokens=new_tokens(compressed, options.max_new_tokens))
    options = _as_evaluated(options, found)
    make_folder(output.parent)
    with open_original(inputs.original, compressed, reporter) as original:
        if found is None:
            folder = inputs.evaluation or _work_folder(output, compressed, chosen, options)
            found = _evaluate(compressed, original, chosen, options, folder, show_progress)
        cost = _cost(original, compressed, chosen, options, reporter)
        checkpoint = _checkpoint_of(inputs.original, original)
    if diagnosis is None and options.diagnose_samples and compressed_graphs(compressed):
        asked = DiagnoseOptions(options.diagnose_samples, options.seed)
        diagnosis = diagnose_bundle(compressed, chosen, asked, original=checkpoint, show_progress=show_progress)
    report = Report(
        bundle=compressed,
        cost=cost,
        data=chosen,
        evaluation=found,
        diagnosis=diagnosis,
        examples=find_examples(found, options.seed),
        options=options,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_text(output, report_page(report))
    return report


def _on_retrieval(
    compressed: Bundle, data: str | None, options: ReportOptions, inputs: ReportInputs, reporter: Reporter
) -> Report:
    """What there is to tell of a bundle for retrieval."""
    found = known_evaluation(inputs.evaluation, compressed)
    diagnosis = None if inputs.diagnosis is None else _diagnosis_of(inputs.diagnosis, compressed)
    chosen = data or (found.data.source if found else DEFAULT_DATA)
    with open_original(inputs.original, compressed, reporter) as original:
        found = found or evaluated(compressed, original, chosen, options, inputs.evaluation, reporter.show)
        cost = retrieval_cost(original, compressed, chosen, options, reporter)
        checkpoint = _checkpoint_of(inputs.original, original)
    if diagnosis is None and options.diagnose_samples and compressed_graphs(compressed):
        asked = DiagnoseOptions(options.diagnose_samples, options.seed)
        diagnosis = diagnose_bundle(compressed, chosen, asked, original=checkpoint, show_progress=reporter.show)
    return Report(
        bundle=compressed,
        cost=cost,
        data=chosen,
        evaluation=found,
        diagnosis=diagnosis,
        examples=(),
        options=options,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def read_diagnosis(path: Path) -> Diagnosis:
    """Read a ``diagnosis.json``.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    content = read_json(path)
    try:
        return Diagnosis.from_json(content)
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not a diagnosis of this version ({error}); run `blipvino diagnose` again") from error


def _diagnosis_of(path: Path, bundle: Bundle) -> Diagnosis:
    """The diagnosis in a file.

    Raises:
        BundleError: it is of another bundle.
        DataError: it cannot be read.
    """
    diagnosis = read_diagnosis(path)
    if diagnosis.fingerprint != bundle.fingerprint:
        raise BundleError(f"{path}: a diagnosis of {diagnosis.bundle}, not of {bundle.folder} as it is now")
    return diagnosis


def _checkpoint_of(given: str | Path | Bundle | None, opened: Bundle) -> str | Path | None:
    """The checkpoint that layers are compared with: of a given bundle the one that it was made from."""
    if isinstance(given, Bundle) or (given is not None and (Path(given) / MANIFEST_FILE).is_file()):
        return opened.manifest.source.name
    return given


def _complete(folder: Path, bundle: Bundle) -> Evaluation | None:
    """The evaluation in a folder; None if it is not finished.

    Raises:
        BundleError: it is of another bundle.
        InputError: it has no original.
        DataError: it cannot be read.
    """
    if not (folder / RESULTS_FILE).is_file():
        return None
    evaluation = read_evaluation(folder)
    if evaluation.compressed.fingerprint != bundle.fingerprint:
        raise BundleError(
            f"{folder}: an evaluation of {evaluation.compressed.place}, not of {bundle.folder} as it is now"
        )
    if evaluation.original is None:
        raise InputError(f"{folder}: the bundle was evaluated alone; evaluate it beside its original")
    return evaluation


def _as_evaluated(options: ReportOptions, found: Evaluation | None) -> ReportOptions:
    """The options, with those of an evaluation that is taken as it is in their place."""
    if found is None or found.options is None:
        return options
    names = ("samples", "captions", "max_new_tokens", "seed")
    return replace(options, **{name: getattr(found.options, name) for name in names})


def _work_folder(output: Path, bundle: Bundle, data: str, options: ReportOptions) -> Path:
    """Where the evaluation is kept: another folder for other options, so that none stands in another's way."""
    depends = json.dumps([bundle.fingerprint, data, asdict(_evaluate_options(options))])
    name = f"evaluation-{hashlib.sha256(depends.encode()).hexdigest()[:8]}"
    return output.with_suffix(".work") / name


def _evaluate_options(options: ReportOptions) -> EvaluateOptions:
    return EvaluateOptions(options.samples, options.captions, options.max_new_tokens, seed=options.seed)


def _evaluate(
    compressed: Bundle, original: Bundle, data: str, options: ReportOptions, folder: Path, show_progress: bool
) -> Evaluation:
    run = RunOptions(folder, show_progress=show_progress)
    return evaluate_bundle(compressed, data, _evaluate_options(options), run, original=original)


def _cost(original: Bundle, compressed: Bundle, data: str, options: ReportOptions, reporter: Reporter) -> Cost:
    timed = timed_samples(data, options, reporter)
    pair = load_pair(original, compressed, new_tokens(compressed, options.max_new_tokens))
    return measure_cost(original, compressed, pair, timed, reporter)
