"""Running an evaluation of a bundle for retrieval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.architectures import retrieves
from blipvino.checks import integer
from blipvino.data import open_source
from blipvino.errors import InputError
from blipvino.files.atomic import make_folder
from blipvino.machine.record import this_machine
from blipvino.measure.evaluation.evaluation_record import Model
from blipvino.measure.measured_engine import measured_engine
from blipvino.measure.opened import opened_bundle
from blipvino.measure.recall.judging import Judged, judge_gallery
from blipvino.measure.recall.recall_scores import first_agreement, matching_scores, recall_scores
from blipvino.measure.recall.retrieval_evaluation import (
    GalleryInfo,
    RetrievalEvaluation,
    RetrievalOptions,
)
from blipvino.measure.recall.text_gallery import choose_gallery
from blipvino.metrics.bootstrap import CONFIDENCE, RESAMPLES
from blipvino.optimization.original import open_original
from blipvino.progress import Reporter
from blipvino.runtime.retriever import BlipRetriever

DEFAULT_BATCH_SIZE = 16


@dataclass(frozen=True)
class RetrievalRun:
    """How to go about it. Nothing here changes what is found.

    Attributes:
        folder: for ``evaluation.json``; None keeps nothing.
        batch_size: images that are worked on together.
        show_progress: on standard error.
    """

    folder: Path | None = None
    batch_size: int = DEFAULT_BATCH_SIZE
    show_progress: bool = True

    def __post_init__(self) -> None:
        """Check the batch size.

        Raises:
            InputError: it is too small.
        """
        integer("batch_size", self.batch_size, 1)


def evaluate_retrieval(
    bundle: str | Path | Bundle,
    data: str,
    options: RetrievalOptions | None = None,
    run: RetrievalRun | None = None,
    *,
    original: str | Path | Bundle | None = None,
    beside_original: bool = True,
) -> RetrievalEvaluation:
    """Let a bundle and its original find images and texts for one another, and judge claims, and score both.

    Args:
        bundle: a folder with a bundle for retrieval, or the bundle opened (and so verified) already.
        data: samples with captions, as `open_source` takes them.
        options: what to evaluate on.
        run: how to go about it.
        original: a bundle, opened or not, or a checkpoint; by default what the bundle was made from.
        beside_original: False evaluates the bundle alone.

    Raises:
        BlipvinoError: a bundle, the checkpoint or the data cannot be used, or the folder cannot be written.
    """
    options, run, started = options or RetrievalOptions(), run or RetrievalRun(), datetime.now(UTC)
    opened, reporter = opened_bundle(bundle), Reporter(run.show_progress)
    if not retrieves(opened.manifest.architecture):
        raise InputError(f"{opened.folder}: this bundle generates texts; it has no recall to measure")
    if run.folder is not None:
        make_folder(run.folder)
    source = open_source(data)
    gallery = choose_gallery(source, options.images, options.texts, options.seed)
    found = GalleryInfo.of(gallery, data, source.name)
    reporter.remark(found.shortfall(options))
    engine, before = measured_engine(options.precision, options.arithmetic, options.device), None

    def judged(model: BlipRetriever) -> Judged:
        return judge_gallery(model, gallery, options.candidates, run.batch_size, reporter)

    after, reference_model = judged(BlipRetriever.load(opened, options=engine, image_cache_bytes=0)), None
    if beside_original:
        with open_original(original, opened, reporter) as reference:
            exact = measured_engine("f32")
            before = judged(BlipRetriever.load(reference, options=exact, image_cache_bytes=0))
            place, fingerprint = reference.manifest.source.name, reference.fingerprint
            reference_model = Model(reference.label, place, fingerprint, exact.precision)
    evaluation = RetrievalEvaluation(
        compressed=Model(opened.label, str(opened.folder), opened.fingerprint, engine.precision),
        original=reference_model,
        data=found,
        options=options,
        recall=recall_scores(gallery, before, after, options.seed),
        agreement=first_agreement(gallery, before, after, options.seed),
        matching=matching_scores(gallery, before, after, options.seed),
        machine=this_machine(),
        started=started.isoformat(timespec="seconds"),
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
    )
    if run.folder is not None:
        evaluation.write(run.folder)
    return evaluation
