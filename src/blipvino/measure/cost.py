"""What a compressed bundle costs beside its original: bytes of weights, and seconds of whole calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

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

    def can_answer(self, sample: Sample) -> bool:
        """Whether a sample has questions and the models answer any."""
        return bool(sample.questions) and self.original.config.answers_questions


def load_pair(original: Bundle, compressed: Bundle, max_new_tokens: int) -> Pair:
    """Load two bundles as they run by default on this machine.

    Raises:
        BundleError: one cannot be loaded.
    """
    return Pair(Blip.load(original), Blip.load(compressed), max_new_tokens)


def measure_cost(
    original: Bundle, compressed: Bundle, pair: Pair, samples: Sequence[Sample], reporter: Reporter
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


def _latencies(pair: Pair, samples: Sequence[Sample], reporter: Reporter) -> Iterator[Latency]:
    """Time whole calls, from the decoded image to the text; the two take turns at going first."""
    if not samples:
        return
    yield _latency("captioning", pair.caption, [(sample,) for sample in samples], reporter)
    asked = [(sample, question.text) for sample in samples if pair.can_answer(sample) for question in sample.questions]
    if asked:
        yield _latency("question answering", pair.answer, asked, reporter)


def _latency(task: str, run: Callable[..., str], inputs: Sequence[tuple[Any, ...]], reporter: Reporter) -> Latency:
    """``run`` takes 0 or 1, the decoded image, and what follows the sample in an input."""
    first, *rest = inputs[0]
    for which in (0, 1):  # compiles the graphs and warms the caches
        run(which, first.image(), *rest)
    seconds: tuple[list[float], list[float]] = ([], [])
    for number, (sample, *more) in enumerate(reporter.track(inputs, f"Timing {task}", len(inputs))):
        image = sample.image()
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            started = time.perf_counter()
            run(which, image, *more)
            seconds[which].append(time.perf_counter() - started)
    return Latency(task, len(inputs), statistics.median(seconds[0]), statistics.median(seconds[1]))
