"""A compressed bundle beside its original: sizes, latencies, and whether they answer alike.

This is the tutorial's "Compare file sizes" and "Compare inference time", with the answers compared as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.data import DEFAULT_SEED, Sample, SampleSource, count_items, open_source, take
from blipvino.errors import InputError
from blipvino.measure.cost import Cost, Pair, load_pair, measure_cost
from blipvino.measure.evaluation.result_files import Texts
from blipvino.measure.evaluation.scoring import score_answers, score_captions
from blipvino.measure.evaluation.selection import Assignment
from blipvino.metrics.bootstrap import Estimate
from blipvino.optimization.original import open_original
from blipvino.progress import Reporter
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.compiler import EngineOptions
from blipvino.runtime.inputs.images import load_image

PICTURES = 6


@dataclass(frozen=True)
class Agreement:
    """How often the two bundles say the same, and how often each is right.

    Attributes:
        kind: "all", or a question type of the data.
        count: questions (or images, for captions).
        same: of these, the ones where both give the same text.
        interval: 95% of resampled shares of equal texts lie in it, see `blipvino.metrics.bootstrap`.
        original: VQA accuracy of the original, 0 to 1; None where the data has no answers.
        compressed: the same of the compressed one.
    """

    kind: str
    count: int
    same: int
    interval: tuple[float, float]
    original: float | None = None
    compressed: float | None = None

    @property
    def share(self) -> float:
        """The share of equal texts."""
        return self.same / self.count


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
        answers: by question type, "all" first; empty without questions.
        captions: of the samples' images.
        pictures: some of the samples.
    """

    original: str
    compressed: str
    data: str
    cost: Cost
    answers: tuple[Agreement, ...]
    captions: Agreement
    pictures: tuple[Picture, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures, with the ratios spelt out. Times are in seconds, sizes in bytes."""
        content = {name: getattr(self, name) for name in ("original", "compressed", "data")}
        content |= self.cost.to_json()
        content["answers"] = [{**asdict(agreement), "share": agreement.share} for agreement in self.answers]
        content["captions"] = {**asdict(self.captions), "share": self.captions.share}
        return content


@dataclass(frozen=True)
class CompareOptions:
    """How much to compare.

    Attributes:
        samples: (image, question) pairs whose answers are compared; the captions of their images are compared too.
        latency_samples: images that are captioned, and questions that are answered, against the clock.
        max_new_tokens: of every text.
        seed: of the data's shuffle.
    """

    samples: int = 100
    latency_samples: int = 100
    max_new_tokens: int = 20
    seed: int = DEFAULT_SEED

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a number is too small.
        """
        for name in ("samples", "latency_samples", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 1")


def compare_with(
    original: str | Path | None,
    compressed: str | Path,
    data: str,
    options: CompareOptions,
    *,
    show_progress: bool = True,
) -> Comparison:
    """Compare a bundle on a data source with its original: a bundle, a checkpoint, or what the bundle was made from.

    Raises:
        BlipvinoError: a bundle, the checkpoint or the data cannot be used, or the original is of other weights.
    """
    reporter = Reporter(show_progress)
    bundle, source = open_bundle(compressed), open_source(data)
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
    reporter.say("Loading both bundles")
    pair = load_pair(original, compressed, options.max_new_tokens)
    cost = measure_cost(original, compressed, pair, timed, reporter)
    exact = replace(pair, original=_in_float32(original)) if "BF16" in cost.machine.capabilities else pair
    return Comparison(
        original=original.manifest.source.name,
        compressed=str(compressed.folder),
        data=f"{source.name}, {count_items(samples)} samples, seed {options.seed}",
        cost=cost,
        answers=tuple(_compare_answers(exact, samples, options.seed, reporter)),
        captions=_compare_captions(exact, samples, options.seed, reporter),
        pictures=tuple(_pictures(exact, samples[:PICTURES])),
    )


def _in_float32(bundle: Bundle) -> Blip:
    return Blip.load(bundle, options=EngineOptions(precision="f32"), verify=False)


def _compare_answers(pair: Pair, samples: Sequence[Sample], seed: int, reporter: Reporter) -> Iterator[Agreement]:
    """Agreement over all questions, then per question type."""
    asked = [Assignment(sample, captioned=False) for sample in samples if pair.can_answer(sample)]
    said: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for one in reporter.track(asked, "Comparing answers", len(asked)):
        both = pair.answers(one.sample.image(), [question.text for question in one.sample.questions])
        for answers, by_question in zip(both, said, strict=True):
            by_question.update(zip((question.question_id for question in one.sample.questions), answers, strict=True))
    for row in score_answers(asked, Texts(said[0]), Texts(said[1]), seed):
        if row.kind != "answer type":
            accuracies = [None if share is None else share.value for share in (row.original, row.compressed)]
            yield _agreement(row.name, row.questions, row.agreement, *accuracies)


def _compare_captions(pair: Pair, samples: Sequence[Sample], seed: int, reporter: Reporter) -> Agreement:
    said: tuple[dict[int | str, str], dict[int | str, str]] = ({}, {})
    for sample in reporter.track(samples, "Comparing captions", len(samples)):
        for caption, by_image in zip(pair.captions(sample.image()), said, strict=True):
            by_image[sample.image_id] = caption
    captioned = [Assignment(sample, captioned=True) for sample in samples]
    scores = score_captions(captioned, Texts(captions=said[0]), Texts(captions=said[1]), seed)
    return _agreement("captions", len(samples), scores.agreement)


def _agreement(
    kind: str, count: int, share: Estimate | None, original: float | None = None, compressed: float | None = None
) -> Agreement:
    assert share is not None  # there is an original
    return Agreement(kind, count, round(share.value * count), (share.low, share.high), original, compressed)


def _pictures(pair: Pair, samples: Sequence[Sample]) -> Iterator[Picture]:
    for sample in samples:
        image = load_image(sample.image())
        if pair.can_answer(sample):
            question = sample.questions[0].text
            answers = (pair.answer(0, image, question), pair.answer(1, image, question))
            yield Picture(image, pair.captions(image), question, answers)
        else:
            yield Picture(image, pair.captions(image))
