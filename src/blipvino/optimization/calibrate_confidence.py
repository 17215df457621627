"""Fitting how sure a bundle may say it is, on labelled samples; `blipvino.metrics.confidence` says what is fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from blipvino.arrays import DoubleArray
from blipvino.bundle.amending import write_confidence
from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.records import FittedConfidence
from blipvino.checks import integer
from blipvino.data import DEFAULT_SEED, Sample, count_items, open_source, take
from blipvino.data.shortfalls import shortfall
from blipvino.errors import DataError
from blipvino.metrics.confidence import fit_scale
from blipvino.metrics.reliability import bin_statistics, calibration_error
from blipvino.metrics.right_captions import caption_rule, right_captions
from blipvino.metrics.vqa import vqa_accuracy
from blipvino.progress import Reporter
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.results import Confidence, Kind

__all__ = ["DEFAULT_TEXTS", "ConfidenceFit", "calibrate_confidence", "forget_confidence"]

DEFAULT_TEXTS = 1000
FEWEST = 20
"""Texts of a kind: of fewer, the priors would be most of what is fitted."""
_BATCH_SIZE = 16


@dataclass(frozen=True)
class ConfidenceFit:
    """What was fitted for one kind of text, and how it does on the samples that it was fitted on.

    Attributes:
        kind: "answers" or "captions".
        fitted: what the manifest has now.
        raw_error: expected calibration error of the texts' own probabilities, from 0 to 1.
        error: of the fitted confidence; a little less than on other samples.
    """

    kind: Kind
    fitted: FittedConfidence
    raw_error: float
    error: float


def calibrate_confidence(
    bundle: str | Path | Bundle,
    data: str,
    *,
    samples: int = DEFAULT_TEXTS,
    seed: int = DEFAULT_SEED,
    least_cider: float | Literal["auto"] | None = "auto",
    options: EngineOptions | None = None,
    show_progress: bool = True,
) -> tuple[ConfidenceFit, ...]:
    """Fit the confidence of a bundle's answers and captions, and keep it in the bundle's manifest.

    It is fitted to texts of greedy search. Kinds of text that the samples say nothing of keep what they have.

    Args:
        bundle: its folder, or the bundle opened (and so verified) already.
        data: labelled samples, as `blipvino.data.open_source` takes them: not those that the bundle is judged by later.
        samples: questions to answer, of as many images as there are, which are captioned, too.
        seed: of the samples' shuffle.
        least_cider: the CIDEr-D, from 0 to 10, from which on a caption is right; None asks for a reference caption word
            for word; "auto" is None for the demo's world and 1 elsewhere.
        options: how its graphs are compiled.
        show_progress: show a progress bar on standard error.

    Raises:
        BundleError: the bundle is damaged, or its manifest cannot be written.
        DataError: the samples cannot be read, or fewer than 20 of them have answers or captions.
        InputError: an argument is of another type or out of its range.
    """
    count, reporter = integer("samples", samples, 1), Reporter(show_progress)
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    source = open_source(data)
    rule = caption_rule(source.name, least_cider)
    chosen = take(source, count, integer("seed", seed, 0), spread=True)
    reporter.remark(shortfall(source.name, ("samples", count_items(chosen), count)))
    blip = Blip.load(opened, options=options, image_cache_bytes=0)
    judged = _judged(blip, chosen, rule, reporter)
    fits = tuple(
        _fit(kind, texts, source.name, seed, rule if kind == "captions" else None)
        for kind, texts in judged.items()
        if len(texts.right) >= FEWEST
    )
    if not fits:
        found = ", ".join(f"{len(texts.right)} {kind}" for kind, texts in judged.items())
        raise DataError(
            f"{source.name}: {found} could be judged, expected at least {FEWEST} of a kind: "
            "give samples with known answers or reference captions"
        )
    write_confidence(opened, {fit.kind: fit.fitted for fit in fits})
    return fits


def forget_confidence(bundle: str | Path) -> None:
    """Take out of a bundle's manifest what was fitted: its confidence is its texts' own probability again.

    Raises:
        BundleError: it is no bundle, or cannot be written.
    """
    write_confidence(open_bundle(bundle, verify=False), {"answers": None, "captions": None})


@dataclass
class _Said:
    """Texts as they are made, each beside what is known of it."""

    answers: list[Generated] = field(default_factory=list)
    answers_known: list[Sequence[str]] = field(default_factory=list)
    captions: list[Generated] = field(default_factory=list)
    captions_known: list[Sequence[str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Judged:
    """Texts of one kind: logarithms of their probabilities, whether they were cut off, and how right they are."""

    logprobs: list[float]
    cut_off: list[bool]
    right: DoubleArray

    @classmethod
    def of(cls, texts: Sequence[Generated], right: DoubleArray) -> _Judged:
        return cls([made.logprob for made in texts], [made.finish_reason == "length" for made in texts], right)


def _judged(blip: Blip, samples: Sequence[Sample], rule: float | None, reporter: Reporter) -> dict[Kind, _Judged]:
    """The texts of each kind, and how right they are."""
    said = _Said()
    batches = [samples[first : first + _BATCH_SIZE] for first in range(0, len(samples), _BATCH_SIZE)]
    features = blip.feature_stream((sample.image() for sample in samples), batch_size=_BATCH_SIZE)
    pairs = zip(batches, features, strict=True)
    for batch, looked in reporter.track(pairs, "Confidence: answers and captions", len(batches)):
        _caption(blip, batch, looked, said)
        if blip.config.answers_questions:
            _answer(blip, batch, looked, said)
    accuracies = [vqa_accuracy(made.text, known) for made, known in zip(said.answers, said.answers_known, strict=True)]
    right = right_captions([made.text for made in said.captions], said.captions_known, rule)
    return {"answers": _Judged.of(said.answers, np.array(accuracies)), "captions": _Judged.of(said.captions, right)}


def _caption(blip: Blip, batch: Sequence[Sample], looked: Sequence[ImageFeatures], said: _Said) -> None:
    known = [(image, sample) for image, sample in zip(looked, batch, strict=True) if sample.captions]
    said.captions += blip.caption([image for image, _ in known], return_scores=True, batch_size=_BATCH_SIZE)
    said.captions_known += [sample.captions for _, sample in known]


def _answer(blip: Blip, batch: Sequence[Sample], looked: Sequence[ImageFeatures], said: _Said) -> None:
    known = list(_questions(batch, looked))
    images, questions = [image for image, _, _ in known], [text for _, text, _ in known]
    said.answers += blip.answer(images, questions, return_scores=True, batch_size=_BATCH_SIZE)
    said.answers_known += [answers for _, _, answers in known]


def _questions(
    batch: Sequence[Sample], looked: Sequence[ImageFeatures]
) -> Iterator[tuple[ImageFeatures, str, Sequence[str]]]:
    for image, sample in zip(looked, batch, strict=True):
        for question in sample.questions:
            if question.answers:
                yield image, question.text, question.answers


def _fit(kind: Kind, judged: _Judged, source: str, seed: int, rule: float | None) -> ConfidenceFit:
    right, cut = judged.right, np.array(judged.cut_off)
    # Where nothing closed there is no more to fit to than the beginnings.
    whole = ~cut if not cut.all() else cut
    scale = fit_scale(np.array(judged.logprobs)[whole], right[whole])
    of_cut = float((right[cut].sum() + 0.5) / (cut.sum() + 1)) if cut.any() and not cut.all() else None
    fitted = FittedConfidence(
        *(scale.temperature, scale.offset, source, len(right), seed, float(right.mean())),
        cut_off=of_cut,
        least_cider=rule,
    )
    errors = (_error(Confidence(each), judged) for each in (None, fitted))
    return ConfidenceFit(kind, fitted, *errors)


def _error(confidence: Confidence, judged: _Judged) -> float:
    texts = zip(judged.logprobs, judged.cut_off, strict=True)
    sure = [confidence.of(logprob, cut_off=cut) for logprob, cut in texts]
    return float(calibration_error(bin_statistics(sure, judged.right).sum(axis=0)))
