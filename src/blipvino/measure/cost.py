"""What a compressed bundle costs beside its original: bytes of weights, and seconds of whole calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from PIL import Image

from blipvino.bundle.bundle import Bundle
from blipvino.data import Sample
from blipvino.graphs.specs import graph_names, groups
from blipvino.machine.record import Machine, this_machine
from blipvino.progress import Reporter
from blipvino.runtime.blip import Blip


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
class Cost:
    """Sizes and latencies of two bundles of one checkpoint.

    Attributes:
        names: what to call the two: their recipes, "FP16" for one that is not compressed.
        sizes: of the tutorial's models.
        graph_sizes: of the graphs.
        latencies: by task.
        machine: where they were timed.
    """

    names: tuple[str, str]
    sizes: tuple[GroupSize, ...]
    graph_sizes: tuple[GroupSize, ...]
    latencies: tuple[Latency, ...]
    machine: Machine

    @property
    def total(self) -> GroupSize:
        """All weights."""
        graphs = tuple(size.name for size in self.graph_sizes)
        before, after = (sum(getattr(size, which) for size in self.graph_sizes) for which in ("original", "compressed"))
        return GroupSize("all", graphs, before, after)

    def to_json(self) -> dict[str, Any]:
        """With the ratios spelt out. Times are in seconds, sizes in bytes."""
        content: dict[str, Any] = {"names": self.names}
        for name in ("sizes", "graph_sizes"):
            content[name] = [{**asdict(size), "rate": size.rate} for size in getattr(self, name)]
        content["latencies"] = [{**asdict(latency), "speed_up": latency.speed_up} for latency in self.latencies]
        content["machine"] = asdict(self.machine)
        return content


@dataclass(frozen=True)
class Task:
    """Calls that are timed.

    Attributes:
        name: of the task.
        run: takes 0 (the original) or 1, the decoded image, and what follows the sample in an input.
        inputs: of each call, the sample first.
        prepare: makes of 0 or 1 and the decoded image what ``run`` takes in its place, off the clock.
    """

    name: str
    run: Callable[..., Any]
    inputs: Sequence[tuple[Any, ...]]
    prepare: Callable[[int, Image.Image], Any] | None = None


class TimedPair(Protocol):
    """Two models whose calls can be timed."""

    def tasks(self, samples: Sequence[Sample]) -> Iterator[Task]:
        """The calls, on samples."""
        ...


@dataclass(frozen=True)
class Pair:
    """The two models, and the calls that are timed."""

    original: Blip
    compressed: Blip
    max_new_tokens: int

    def caption(self, which: int, image: Image.Image) -> str:
        """The caption by the original (0) or the compressed model (1)."""
        return (self.original, self.compressed)[which].caption(image, max_new_tokens=self.max_new_tokens)

    def answer(self, which: int, image: Image.Image, question: str) -> str:
        """The answer by the original (0) or the compressed model (1)."""
        return (self.original, self.compressed)[which].answer(image, question, max_new_tokens=self.max_new_tokens)

    def tasks(self, samples: Sequence[Sample]) -> Iterator[Task]:
        """Whole calls, from the decoded image to the text."""
        yield Task("captioning", self.caption, [(sample,) for sample in samples])
        if self.original.config.answers_questions:
            asked = [(sample, question.text) for sample in samples for question in sample.questions]
            yield Task("question answering", self.answer, asked)


def load_pair(original: Bundle, compressed: Bundle, max_new_tokens: int) -> Pair:
    """Load two bundles as they run by default on this machine.

    Raises:
        BundleError: one cannot be loaded.
    """
    return Pair(Blip.load(original), Blip.load(compressed), max_new_tokens)


def measure_cost(
    original: Bundle, compressed: Bundle, pair: TimedPair, samples: Sequence[Sample], reporter: Reporter
) -> Cost:
    """Compare sizes, and time the pair that was loaded of the two bundles on samples."""
    return Cost(
        names=(original.label, compressed.label),
        sizes=tuple(_group_sizes(original, compressed)),
        graph_sizes=tuple(_graph_sizes(original, compressed)),
        latencies=tuple(_latencies(pair, samples, reporter)),
        machine=this_machine(),
    )


def _graph_sizes(original: Bundle, compressed: Bundle) -> Iterator[GroupSize]:
    for graph in graph_names(original.manifest.architecture):
        if original.has(f"{graph}.bin") and compressed.has(f"{graph}.bin"):
            yield GroupSize(graph, (graph,), original.graph_size(graph), compressed.graph_size(graph))


def _group_sizes(original: Bundle, compressed: Bundle) -> Iterator[GroupSize]:
    sizes = {size.name: size for size in _graph_sizes(original, compressed)}
    for name, graphs in groups(original.manifest.architecture).items():
        members = [sizes[graph] for graph in graphs if graph in sizes]
        if members:
            bytes_before, bytes_after = sum(m.original for m in members), sum(m.compressed for m in members)
            yield GroupSize(name, tuple(m.name for m in members), bytes_before, bytes_after)


def _latencies(pair: TimedPair, samples: Sequence[Sample], reporter: Reporter) -> Iterator[Latency]:
    """Time whole calls; the two take turns at going first."""
    if samples:
        yield from (_latency(task, reporter) for task in pair.tasks(samples) if task.inputs)


def _latency(task: Task, reporter: Reporter) -> Latency:
    first, *rest = task.inputs[0]
    for which in (0, 1):  # compiles the graphs and warms the caches
        task.run(which, _given(task, which, first.image()), *rest)
    seconds: tuple[list[float], list[float]] = ([], [])
    for number, (sample, *more) in enumerate(reporter.track(task.inputs, f"Timing {task.name}", len(task.inputs))):
        image = sample.image()
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            given = _given(task, which, image)
            started = time.perf_counter()
            task.run(which, given, *more)
            seconds[which].append(time.perf_counter() - started)
    return Latency(task.name, len(task.inputs), statistics.median(seconds[0]), statistics.median(seconds[1]))


def _given(task: Task, which: int, image: Image.Image) -> Any:
    return image if task.prepare is None else task.prepare(which, image)
