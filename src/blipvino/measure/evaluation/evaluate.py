"""Running an evaluation: what is asked, by which models, and what becomes of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from blipvino.bundle.bundle import Bundle
from blipvino.bundle.records import ConfidenceRecord
from blipvino.checkpoint.architectures import answers_questions
from blipvino.data import DEFAULT_SEED, open_source, read_answers
from blipvino.errors import InputError
from blipvino.files.atomic import make_folder
from blipvino.machine.host import choose_arithmetic
from blipvino.machine.record import this_machine
from blipvino.measure.evaluation.evaluation import DataInfo, EvaluateOptions, Evaluation
from blipvino.measure.evaluation.evaluation_record import Model
from blipvino.measure.evaluation.predicting import Predictor
from blipvino.measure.evaluation.predictions import Header, PredictionFile
from blipvino.measure.evaluation.reliability_scoring import score_reliability
from blipvino.measure.evaluation.result_files import Texts, read_results, write_results
from blipvino.measure.evaluation.scoring import answer_examples, caption_examples, score_answers, score_captions
from blipvino.measure.evaluation.selection import Assignment, digest, select, select_known
from blipvino.measure.measured_engine import measured_engine
from blipvino.measure.opened import new_tokens, opened_bundle
from blipvino.metrics.bootstrap import CONFIDENCE, RESAMPLES
from blipvino.optimization.original import open_original
from blipvino.progress import Reporter
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.engine_options import EngineOptions

__all__ = ["DEFAULT_BATCH_SIZE", "EXAMPLES", "ModelTexts", "RunOptions", "evaluate_bundle", "evaluate_results"]

DEFAULT_BATCH_SIZE = 16
EXAMPLES = 60


@dataclass(frozen=True)
class RunOptions:
    """How to go about it. Nothing here changes what is found.

    Attributes:
        folder: for predictions as they are made, result files and ``evaluation.json``. With the same folder a stopped
            run goes on where it was. None keeps nothing.
        restart: forget the predictions that the folder holds.
        batch_size: images that are worked on together, each with its questions and its caption.
        show_progress: on standard error.
    """

    folder: Path | None = None
    restart: bool = False
    batch_size: int = DEFAULT_BATCH_SIZE
    show_progress: bool = True

    def __post_init__(self) -> None:
        """Check the batch size.

        Raises:
            InputError: it is too small.
        """
        if self.batch_size < 1:
            raise InputError(f"batch_size is {self.batch_size}, expected at least 1")


def evaluate_bundle(
    bundle: str | Path | Bundle,
    data: str,
    options: EvaluateOptions | None = None,
    run: RunOptions | None = None,
    *,
    original: str | Path | Bundle | None = None,
    beside_original: bool = True,
) -> Evaluation:
    """Answer questions and caption images with a bundle and with its original, and score both.

    Args:
        bundle: a bundle's folder, or the bundle opened (and so verified) already.
        data: samples, as `open_source` takes them.
        options: what to evaluate on, and how texts come about.
        run: how to go about it.
        original: a bundle, opened or not, or a checkpoint; by default what the bundle was made from.
        beside_original: False evaluates the bundle alone.

    Raises:
        BlipvinoError: a bundle, the checkpoint or the data cannot be used, or the folder cannot be written or holds
            predictions made otherwise.
    """
    options, run = options or EvaluateOptions(), run or RunOptions()
    compressed, reporter = opened_bundle(bundle), Reporter(run.show_progress)
    options = replace(options, max_new_tokens=new_tokens(compressed, options.max_new_tokens))
    task = _plan(compressed, data, options)
    reporter.remark(task.data.shortfall(options, answers_questions(compressed.manifest.architecture)))
    with _folder(run.folder) as folder:
        recorder = _Recorder(task, options, folder, run, reporter)
        engine = measured_engine(options.precision, options.arithmetic, options.device)
        after, before = recorder.predict("compressed", compressed, engine), None
        if beside_original:
            with open_original(original, compressed, reporter) as reference:
                before = recorder.predict("original", reference, measured_engine("f32"))
        evaluation = _evaluation(task, after, before)
        evaluation.write(folder)
    return evaluation


def evaluate_results(
    files: Sequence[Path], data: str, *, folder: Path | None = None, seed: int = DEFAULT_SEED
) -> Evaluation:
    """Score result files of the VQAv2 and COCO formats; no model is run.

    Args:
        files: one of answers, one of captions, or both.
        data: the samples that they are about, as `open_source` takes them; those in the files are scored.
        folder: for ``evaluation.json``.
        seed: of the bootstrap.

    Raises:
        DataError: a file or the data cannot be used, or the data lacks what a file names.
        InputError: several files are of one kind.
        OutputError: the folder cannot be written.
    """
    texts, source = _merged(files), open_source(data)
    assignments = select_known(source, texts.answers.keys(), texts.captions.keys(), seed)
    names = " and ".join(path.name for path in files)
    task = _Task(assignments, _data_info(data, source.name, assignments), None, f"read from {names}", seed)
    name = files[0].stem if len(files) == 1 else "result files"
    evaluation = _evaluation(task, ModelTexts(Model(name, ", ".join(map(str, files))), texts), None)
    if folder is not None:
        make_folder(folder)
        evaluation.write(folder)
    return evaluation


@dataclass(frozen=True)
class ModelTexts:
    """A model, its texts, and what was fitted of its confidence."""

    model: Model
    texts: Texts
    confidence: ConfidenceRecord | None = None


@dataclass(frozen=True)
class _Task:
    """What is asked and captioned, and how; ``answers`` are those to choose from, if there are any."""

    assignments: list[Assignment]
    data: DataInfo
    options: EvaluateOptions | None
    answering: str
    seed: int
    answers: tuple[str, ...] | None = None
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def _plan(bundle: Bundle, data: str, options: EvaluateOptions) -> _Task:
    can_answer = answers_questions(bundle.manifest.architecture)
    if not can_answer and (not options.captions or options.answers is not None):
        raise InputError(f"{bundle.folder}: this bundle captions only; evaluate its captions, or a bundle that answers")
    answers = None if options.answers is None else tuple(read_answers(Path(options.answers)))
    source = open_source(data)
    assignments = select(source, options.samples if can_answer else 0, options.captions, options.seed)
    info = _data_info(data, source.name, assignments)
    return _Task(assignments, info, options, _answering(options, answers), options.seed, answers)


def _answering(options: EvaluateOptions, answers: tuple[str, ...] | None) -> str:
    if answers is None:
        return "generated"
    which = (
        "all"
        if options.top_k is None or options.top_k >= len(answers)
        else f"the {options.top_k} whose first token is likeliest"
    )
    return f"ranked among {len(answers):,} of {Path(str(options.answers)).name}, {which}"


def _data_info(source: str, name: str, assignments: Sequence[Assignment]) -> DataInfo:
    questions = sum(len(one.sample.questions) for one in assignments)
    return DataInfo(source, name, len(assignments), questions, sum(one.captioned for one in assignments))


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The given folder, made where there is none; or one for the time."""
    if given is not None:
        make_folder(given)
        yield given
        return
    with TemporaryDirectory(prefix="blipvino-") as folder:
        yield Path(folder)


@dataclass(frozen=True)
class _Recorder:
    """Lets models answer and caption, and keeps their predictions."""

    task: _Task
    options: EvaluateOptions
    folder: Path
    run: RunOptions
    reporter: Reporter

    def predict(self, role: Literal["original", "compressed"], bundle: Bundle, engine: EngineOptions) -> ModelTexts:
        """A bundle's texts of all assignments; those that an earlier run left are not computed again."""
        path = self.folder / f"predictions-{role}.jsonl"
        file = PredictionFile(path, self._header(bundle, engine), restart=self.run.restart)
        missing = [one for one in self.task.assignments if one.sample.image_id not in file.known]
        if missing:
            # Each image is seen once, so that none is worth remembering.
            blip = Blip.load(bundle, options=engine, image_cache_bytes=0)
            predicted = self._predictor(blip).predict(missing, self.run.batch_size)
            batches = math.ceil(len(missing) / self.run.batch_size)
            for predictions in self.reporter.track(predicted, f"{bundle.label}: answers and captions", batches):
                file.append(predictions)
        texts = Texts.of(file.known[one.sample.image_id] for one in self.task.assignments)
        write_results(texts, self.folder, role)
        place = bundle.manifest.source.name if role == "original" else str(bundle.folder)
        model = Model(bundle.label, place, bundle.fingerprint, engine.precision)
        return ModelTexts(model, texts, bundle.manifest.confidence)

    def _predictor(self, blip: Blip) -> Predictor:
        options = self.options
        return Predictor(
            blip,
            max_new_tokens=new_tokens(blip.bundle, options.max_new_tokens),
            num_beams=options.num_beams,
            answers=self.task.answers,
            top_k=options.top_k,
        )

    def _header(self, bundle: Bundle, engine: EngineOptions) -> Header:
        options, answers = self.options, self.task.answers
        return Header(
            model=bundle.fingerprint,
            precision=engine.precision,
            arithmetic=choose_arithmetic(engine.arithmetic).arithmetic,
            data=self.task.data.name,
            samples=options.samples,
            captions=options.captions,
            seed=options.seed,
            selection=digest(self.task.assignments),
            max_new_tokens=new_tokens(bundle, options.max_new_tokens),
            num_beams=options.num_beams,
            answers=None if answers is None else hashlib.sha256(json.dumps(answers).encode()).hexdigest(),
            top_k=None if answers is None else options.top_k,
            scores=True,
            device=engine.device,
        )


def _evaluation(task: _Task, compressed: ModelTexts, original: ModelTexts | None) -> Evaluation:
    after, before = compressed.texts, None if original is None else original.texts
    captions = score_captions(task.assignments, before, after, task.seed)
    return Evaluation(
        compressed=compressed.model,
        original=None if original is None else original.model,
        data=task.data,
        options=task.options,
        answering=task.answering,
        answers=score_answers(task.assignments, before, after, task.seed),
        captions=captions.metrics,
        caption_agreement=captions.agreement,
        answer_examples=answer_examples(task.assignments, before, after, EXAMPLES),
        caption_examples=caption_examples(task.assignments, before, after, EXAMPLES),
        machine=this_machine(),
        started=task.started,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        reliability=score_reliability(task.assignments, after, compressed.confidence, task.data.name, task.seed),
    )


def _merged(files: Sequence[Path]) -> Texts:
    """The texts of result files, of which one may hold answers and one captions."""
    read = [read_results(path) for path in files]
    if sum(bool(texts.answers) for texts in read) > 1 or sum(bool(texts.captions) for texts in read) > 1:
        raise InputError("several result files of one kind; give one of answers and one of captions at the most")
    answers = {key: text for texts in read for key, text in texts.answers.items()}
    return Texts(answers, {key: text for texts in read for key, text in texts.captions.items()})
