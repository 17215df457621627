"""A compressed bundle beside its original: sizes, latencies, and whether they answer alike.

This is the tutorial's "Compare file sizes" and "Compare inference time", with the answers compared as well.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from blipvino.bench.machine import Machine, this_machine
from blipvino.bundle import MANIFEST_FILE, Bundle, open_bundle
from blipvino.compress.optimize import optimize
from blipvino.data import Question, Sample, SampleSource, count_items, open_source, take
from blipvino.errors import DataError
from blipvino.graphs import GROUPS
from blipvino.metrics.vqa import vqa_accuracy
from blipvino.progress import Reporter
from blipvino.runtime.model import Blip

MAX_NEW_TOKENS = 20
"""The tutorial's ``max_length=20``."""
PICTURES = 6


@dataclass(frozen=True)
class GroupSize:
    """Bytes of weights (``.bin``) of one of the tutorial's models, or of one graph of it."""

    name: str
    graphs: tuple[str, ...]
    original: int
    compressed: int

    @property
    def rate(self) -> float:
        """How many times smaller the compressed one is."""
        return self.original / self.compressed


@dataclass(frozen=True)
class Latency:
    """Median seconds of one task over some samples, the two bundles taking turns on every sample."""

    task: str
    samples: int
    original: float
    compressed: float

    @property
    def speed_up(self) -> float:
        """How many times faster the compressed one is."""
        return self.original / self.compressed


@dataclass(frozen=True)
class Agreement:
    """How often the two bundles say the same, and how often each is right.

    Attributes:
        kind: "all", or a question type of the data.
        count: questions (or images, for captions).
        same: of these, the ones where both give the same text.
        original: VQA accuracy of the original, 0 to 1; None where the data has no answers.
        compressed: the same of the compressed one.
    """

    kind: str
    count: int
    same: int
    original: float | None = None
    compressed: float | None = None

    @property
    def share(self) -> float:
        """The share of equal texts."""
        return self.same / self.count


@dataclass(frozen=True)
class Picture:
    """One sample as both bundles see it. Texts come in pairs: the original's, the compressed one's."""

    image: Image.Image
    captions: tuple[str, str]
    question: str | None = None
    answers: tuple[str, str] | None = None


@dataclass(frozen=True)
class Comparison:
    """All that was compared."""

    original: str
    compressed: str
    recipe: str
    data: str
    sizes: tuple[GroupSize, ...]
    graph_sizes: tuple[GroupSize, ...]
    latencies: tuple[Latency, ...]
    answers: tuple[Agreement, ...]
    captions: Agreement
    machine: Machine
    pictures: tuple[Picture, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures, with the ratios spelt out. Times are in seconds, sizes in bytes."""
        content = {name: getattr(self, name) for name in ("original", "compressed", "recipe", "data")}
        for name in ("sizes", "graph_sizes"):
            content[name] = [{**asdict(size), "rate": size.rate} for size in getattr(self, name)]
        content["latencies"] = [{**asdict(latency), "speed_up": latency.speed_up} for latency in self.latencies]
        content["answers"] = [{**asdict(agreement), "share": agreement.share} for agreement in self.answers]
        content["captions"] = {**asdict(self.captions), "share": self.captions.share}
        content["machine"] = asdict(self.machine)
        return content


@dataclass(frozen=True)
class CompareOptions:
    """How much to compare.

    Attributes:
        samples: (image, question) pairs whose answers are compared, and at the most so many captions.
        latency_samples: of these, how many are timed.
        seed: of the data's shuffle.
    """

    samples: int = 100
    latency_samples: int = 100
    seed: int = 42


@contextmanager
def original_bundle(source: str | Path, reporter: Reporter) -> Iterator[Bundle]:
    """A bundle to compare with: ``source`` itself where it is one, else a checkpoint's FP16 graphs, made for the time.

    Raises:
        BlipvinoError: the bundle or checkpoint cannot be used.
    """
    if (Path(source) / MANIFEST_FILE).is_file():
        yield open_bundle(source)
        return
    with TemporaryDirectory(prefix="blipvino-") as folder:
        yield optimize(source, Path(folder) / "original", recipe="none", show_progress=reporter.show)


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
        BlipvinoError: a bundle, the checkpoint or the data cannot be used.
    """
    reporter = Reporter(show_progress)
    bundle, source = open_bundle(compressed), open_source(data)
    with original_bundle(original or bundle.manifest.source.name, reporter) as reference:
        return compare(reference, bundle, source, options, reporter)


def compare(
    original: Bundle, compressed: Bundle, source: SampleSource, options: CompareOptions, reporter: Reporter
) -> Comparison:
    """Compare two bundles of the same checkpoint on samples.

    Raises:
        DataError: the source is empty or cannot be read.
        BundleError: a bundle cannot be loaded.
    """
    samples = take(source, options.samples, options.seed)
    pair = (Blip.load(original, verify=False), Blip.load(compressed, verify=False))
    questions = [(sample, question) for sample in samples for question in sample.questions]
    answers_questions = pair[0].config.answers_questions
    if answers_questions and not questions:
        raise DataError(f"{source.name}: no questions in it; use a source with questions to compare answers")
    return Comparison(
        original=original.manifest.source.name,
        compressed=str(compressed.folder),
        recipe=str(compressed.manifest.recipe.get("name", "")),
        data=f"{source.name}, {count_items(samples)} samples, seed {options.seed}",
        sizes=tuple(_group_sizes(original, compressed)),
        graph_sizes=tuple(_graph_sizes(original, compressed)),
        latencies=tuple(_latencies(pair, samples, questions if answers_questions else [], options, reporter)),
        answers=tuple(_compare_answers(pair, samples, reporter)) if answers_questions else (),
        captions=_compare_captions(pair, samples, reporter),
        machine=this_machine(),
        pictures=tuple(_pictures(pair, samples[:PICTURES])),
    )


def _graph_sizes(original: Bundle, compressed: Bundle) -> Iterator[GroupSize]:
    for graph in (graph for graphs in GROUPS.values() for graph in graphs):
        if original.has(f"{graph}.bin") and compressed.has(f"{graph}.bin"):
            yield GroupSize(graph, (graph,), original.graph_size(graph), compressed.graph_size(graph))


def _group_sizes(original: Bundle, compressed: Bundle) -> Iterator[GroupSize]:
    sizes = {size.name: size for size in _graph_sizes(original, compressed)}
    for name, graphs in GROUPS.items():
        members = [sizes[graph] for graph in graphs if graph in sizes]
        if members:
            bytes_before, bytes_after = sum(m.original for m in members), sum(m.compressed for m in members)
            yield GroupSize(name, tuple(m.name for m in members), bytes_before, bytes_after)


def _latencies(
    pair: tuple[Blip, Blip],
    samples: Sequence[Sample],
    questions: Sequence[tuple[Sample, Question]],
    options: CompareOptions,
    reporter: Reporter,
) -> Iterator[Latency]:
    """Time whole calls, from the decoded image to the text; each bundle starts every other time."""
    timed = [sample.image() for sample in samples[: options.latency_samples]]
    asked = [(sample.image(), question.text) for sample, question in questions[: options.latency_samples]]
    yield _latency(
        pair, "captioning", lambda blip, i: blip.caption(timed[i], max_new_tokens=MAX_NEW_TOKENS), len(timed), reporter
    )
    if asked:
        yield _latency(
            pair,
            "question answering",
            lambda blip, i: blip.answer(*asked[i], max_new_tokens=MAX_NEW_TOKENS),
            len(asked),
            reporter,
        )


def _latency(
    pair: tuple[Blip, Blip], task: str, run: Callable[[Blip, int], object], count: int, reporter: Reporter
) -> Latency:
    for blip in pair:  # compiles the graphs and warms the caches
        run(blip, 0)
    seconds: tuple[list[float], list[float]] = ([], [])
    for index in reporter.track(range(count), f"Timing {task}", count):
        for which in (0, 1) if index % 2 == 0 else (1, 0):
            started = time.perf_counter()
            run(pair[which], index)
            seconds[which].append(time.perf_counter() - started)
    return Latency(task, count, statistics.median(seconds[0]), statistics.median(seconds[1]))


def _compare_answers(pair: tuple[Blip, Blip], samples: Sequence[Sample], reporter: Reporter) -> Iterator[Agreement]:
    """Agreement over all questions, then per question type."""
    kinds: dict[str, list[tuple[bool, float | None, float | None]]] = {"all": []}
    for sample in reporter.track(samples, "Comparing answers", len(samples)):
        image, asked = sample.image(), [question.text for question in sample.questions]
        if not asked:
            continue
        both = [blip.answer(image, asked, max_new_tokens=MAX_NEW_TOKENS) for blip in pair]
        for question, before, after in zip(sample.questions, *both, strict=True):
            truth = question.answers
            scores = [vqa_accuracy(answer, truth) if truth else None for answer in (before, after)]
            for kind in ("all", question.question_type):
                kinds.setdefault(kind, []).append((before == after, scores[0], scores[1]))
    kinds.pop("", None)
    for kind, rows in kinds.items():
        same = sum(row[0] for row in rows)
        yield Agreement(kind, len(rows), same, _mean([row[1] for row in rows]), _mean([row[2] for row in rows]))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _compare_captions(pair: tuple[Blip, Blip], samples: Sequence[Sample], reporter: Reporter) -> Agreement:
    same = 0
    for sample in reporter.track(samples, "Comparing captions", len(samples)):
        image = sample.image()
        same += pair[0].caption(image, max_new_tokens=MAX_NEW_TOKENS) == pair[1].caption(
            image, max_new_tokens=MAX_NEW_TOKENS
        )
    return Agreement("captions", len(samples), same)


def _pictures(pair: tuple[Blip, Blip], samples: Sequence[Sample]) -> Iterator[Picture]:
    for sample in samples:
        image = sample.image()
        captions = (
            pair[0].caption(image, max_new_tokens=MAX_NEW_TOKENS),
            pair[1].caption(image, max_new_tokens=MAX_NEW_TOKENS),
        )
        if not (sample.questions and pair[0].config.answers_questions):
            yield Picture(image, captions)
            continue
        question = sample.questions[0].text
        answers = (
            pair[0].answer(image, question, max_new_tokens=MAX_NEW_TOKENS),
            pair[1].answer(image, question, max_new_tokens=MAX_NEW_TOKENS),
        )
        yield Picture(image, captions, question, answers)
