"""A compressed bundle beside its original: sizes, latencies, and whether they answer alike.

This is the tutorial's "Compare file sizes" and "Compare inference time", with the answers compared as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.architectures import retrieves
from blipvino.data import DEFAULT_SEED, Sample, SampleSource, count_items, open_source, take
from blipvino.data.shortfalls import shortfall
from blipvino.errors import InputError
from blipvino.measure.cost import Cost, load_pair, measure_cost
from blipvino.measure.evaluation.evaluation import AnswerScore
from blipvino.measure.evaluation.predicting import Predictor
from blipvino.measure.evaluation.result_files import Texts
from blipvino.measure.evaluation.scoring import score_answers, score_captions
from blipvino.measure.evaluation.selection import Assignment
from blipvino.measure.opened import new_tokens, opened_bundle
from blipvino.metrics.bootstrap import Estimate
from blipvino.optimization.original import open_original
from blipvino.progress import Reporter
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.inputs.images import load_image

PICTURES = 6


@dataclass(frozen=True)
class Picture:
    """One sample as both bundles see it, upright RGB. Texts come in pairs: the original's, the compressed one's."""

    image: Image.Image
    captions: tuple[str, str]
    question: str | None = None
    answers: tuple[str, str] | None = None


@dataclass(frozen=True)
class Comparison:
    """All that was compared.

    Attributes:
        original: the checkpoint that both bundles came from.
        compressed: the compressed bundle's folder.
        data: the samples.
        cost: sizes and latencies.
        answers: accuracy and agreement by question type, "all" first; empty without questions.
        captioned: how many of the samples' images were captioned: all.
        caption_agreement: the share of them that both caption alike.
        pictures: some of the samples.
    """

    original: str
    compressed: str
    data: str
    cost: Cost
    answers: tuple[AnswerScore, ...]
    captioned: int
    caption_agreement: Estimate
    pictures: tuple[Picture, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures, with the ratios spelt out. Times are in seconds, sizes in bytes."""
        content = {name: getattr(self, name) for name in ("original", "compressed", "data")}
        content |= self.cost.to_json()
        content["answers"] = [_answers_to_json(score) for score in self.answers]
        content["captions"] = _agreement_to_json("captions", self.captioned, self.caption_agreement, None, None)
        return content


def _answers_to_json(score: AnswerScore) -> dict[str, Any]:
    assert score.agreement is not None  # there is an original
    return _agreement_to_json(score.name, score.questions, score.agreement, score.original, score.compressed)


def _agreement_to_json(
    kind: str, count: int, agreement: Estimate, original: Estimate | None, compressed: Estimate | None
) -> dict[str, Any]:
    same = round(agreement.value * count)
    return {
        "kind": kind,
        "count": count,
        "same": same,
        "interval": (agreement.low, agreement.high),
        "original": None if original is None else original.value,
        "compressed": None if compressed is None else compressed.value,
        "share": same / count,
    }


@dataclass(frozen=True)
class CompareOptions:
    """How much to compare.

    Attributes:
        samples: (image, question) pairs whose answers are compared; the captions of their images are compared too.
        latency_samples: images that are captioned, and questions that are answered, against the clock.
        max_new_tokens: of every text; None is the checkpoint's own number.
        seed: of the data's shuffle.
    """

    samples: int = 100
    latency_samples: int = 100
    max_new_tokens: int | None = None
    seed: int = DEFAULT_SEED

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a number is too small.
        """
        for name in ("samples", "latency_samples", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}, expected at least 1")


def compare_with(
    original: str | Path | Bundle | None,
    compressed: str | Path | Bundle,
    data: str,
    options: CompareOptions,
    *,
    show_progress: bool = True,
) -> Comparison:
    """Compare a bundle on a data source with its original.

    Args:
        original: a bundle, opened or not, or a checkpoint; None is what the bundle was made from.
        compressed: a bundle's folder, or the bundle opened (and so verified) already.
        data: samples, as `open_source` takes them.
        options: how much to compare.
        show_progress: on standard error.

    Raises:
        BlipvinoError: a bundle, the checkpoint or the data cannot be used, or the original is of other weights.
    """
    reporter = Reporter(show_progress)
    bundle = opened_bundle(compressed)
    if retrieves(bundle.manifest.architecture):
        raise InputError(
            f"{bundle.folder}: compare is about answers and captions, and this bundle is for retrieval; `blipvino "
            "report` sets it beside its original, `blipvino evaluate` measures recall and matching alone"
        )
    source = open_source(data)
    with open_original(original, bundle, reporter) as reference:
        return compare(reference, bundle, source, options, reporter)


def compare(
    original: Bundle, compressed: Bundle, source: SampleSource, options: CompareOptions, reporter: Reporter
) -> Comparison:
    """Compare two bundles of the same checkpoint on samples.

    Both are timed as they run by default on this machine; answers are compared with the original's in float32.
    Answers are left out where the checkpoint or the samples have none.

    Raises:
        DataError: the source is empty or cannot be read.
        BundleError: a bundle cannot be loaded.
    """
    samples = take(source, options.samples, options.seed)
    timed = take(source, options.latency_samples, options.seed, spread=True)
    latency = ("samples to time", count_items(timed), options.latency_samples)
    reporter.remark(shortfall(source.name, ("samples", count_items(samples), options.samples), latency))
    reporter.say("Loading both bundles")
    length = new_tokens(compressed, options.max_new_tokens)
    pair = load_pair(original, compressed, length)
    cost = measure_cost(original, compressed, pair, timed, reporter)
    assignments = _assignments(samples, pair.original.config.answers_questions)
    exact = _in_float32(original) if "BF16" in cost.machine.capabilities else pair.original
    before = _predict(exact, original.label, assignments, length, reporter)
    after = _predict(pair.compressed, compressed.label, assignments, length, reporter)
    scores = score_answers(assignments, before, after, options.seed)
    agreement = score_captions(assignments, before, after, options.seed).agreement
    assert agreement is not None  # there are images and an original
    return Comparison(
        original=original.manifest.source.name,
        compressed=str(compressed.folder),
        data=f"{source.name}, {count_items(samples)} samples, seed {options.seed}",
        cost=cost,
        answers=tuple(score for score in scores if score.kind != "answer type"),
        captioned=len(assignments),
        caption_agreement=agreement,
        pictures=tuple(_picture(one.sample, before, after) for one in assignments[:PICTURES]),
    )


def _assignments(samples: Sequence[Sample], answers_questions: bool) -> list[Assignment]:
    """All questions and all images of the samples: `select` counts the two apart, here their images are given."""
    return [
        Assignment(sample if answers_questions else replace(sample, questions=()), captioned=True) for sample in samples
    ]


def _in_float32(bundle: Bundle) -> Blip:
    return Blip.load(bundle, options=EngineOptions(precision="f32"))


def _predict(blip: Blip, name: str, assignments: Sequence[Assignment], length: int, reporter: Reporter) -> Texts:
    """A model's texts, image by image, as the calls that are timed decode them."""
    predicted = Predictor(blip, max_new_tokens=length).predict(assignments, batch_size=1)
    tracked = reporter.track(predicted, f"{name}: answers and captions", len(assignments))
    return Texts.of(prediction for batch in tracked for prediction in batch)


def _picture(sample: Sample, before: Texts, after: Texts) -> Picture:
    captions = before.captions[sample.image_id], after.captions[sample.image_id]
    image = load_image(sample.image())
    if not sample.questions:
        return Picture(image, captions)
    first = sample.questions[0]
    answers = before.answers[first.question_id], after.answers[first.question_id]
    return Picture(image, captions, first.text, answers)
