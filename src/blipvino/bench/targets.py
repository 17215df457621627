"""The speed that the project set itself as its goal, and whether a run reached it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from blipvino.bench.floor import floors
from blipvino.bench.results import SpeedResults

OURS = "blipvino-int8"
TUTORIAL = "tutorial-int8"
ORIGINAL = "transformers-fp32"

Measure = Callable[[SpeedResults], float | None]
"""A figure of a run; None where the run did not measure it."""


@dataclass(frozen=True)
class Target:
    """A goal.

    Attributes:
        work: what is done.
        goal: the figure's name, without its threshold.
        threshold: the least or, unless ``at_least``, the most that it may be.
        unit: of the threshold.
        measure: how the figure comes from the results.
        at_least: more is better.
    """

    work: str
    goal: str
    threshold: float
    unit: str
    measure: Measure
    at_least: bool = True


@dataclass(frozen=True)
class Verdict:
    """A target beside what was measured."""

    target: Target
    measured: float | None

    @property
    def met(self) -> bool | None:
        """Whether it was reached; None where it was not measured."""
        if self.measured is None:
            return None
        return (
            self.measured >= self.target.threshold if self.target.at_least else self.measured <= self.target.threshold
        )


def evaluate(results: SpeedResults) -> tuple[Verdict, ...]:
    """All targets, in order."""
    return tuple(Verdict(target, target.measure(results)) for target in TARGETS)


def _speed_up(work: str, over: str, size: int = 1) -> Measure:
    """How many times faster ours is, median over median."""

    def measure(results: SpeedResults) -> float | None:
        theirs, ours = results.find(work, over, size), results.find(work, OURS, size)
        return None if theirs is None or ours is None else theirs.median / ours.median

    return measure


def _over_floor(graph: str) -> Measure:
    def measure(results: SpeedResults) -> float | None:
        return next((one.ratio for one in floors(results) if (one.graph, one.contender) == (graph, OURS)), None)

    return measure


def _launch_seconds(results: SpeedResults) -> float | None:
    launch = results.find_launch("caption", OURS, "warm")
    return None if launch is None else statistics.median(launch.seconds)


def _peak_megabytes(results: SpeedResults) -> float | None:
    peaks = [max(one.peak_rss) for one in results.launches if (one.contender, one.cache) == (OURS, "warm")]
    return max(peaks) / 1e6 if peaks else None


def _growth(work: str) -> Measure:
    """What the largest size costs apiece, beside the smallest."""

    def measure(results: SpeedResults) -> float | None:
        sizes = {one.size: one.median for one in results.series if (one.work, one.contender) == (work, OURS)}
        if len(sizes) < 2:
            return None
        first, last = min(sizes), max(sizes)
        return sizes[last] / last / (sizes[first] / first)

    return measure


def _late_token(results: SpeedResults) -> float | None:
    """What a token costs after the twentieth, beside one between the fifth and the twentieth."""
    sizes = {one.size: one.median for one in results.series if (one.work, one.contender) == ("tokens", OURS)}
    if not {5, 20, 40} <= set(sizes):
        return None
    early = (sizes[20] - sizes[5]) / 15
    return (sizes[40] - sizes[20]) / 20 / early if early > 0 else None


TARGETS = (
    Target("caption, 20 tokens, batch 1", "tutorial INT8 / ours", 4.5, "×", _speed_up("caption", TUTORIAL)),
    Target("caption, 20 tokens, batch 1", "transformers fp32 / ours", 9, "×", _speed_up("caption", ORIGINAL)),
    Target("captions, throughput at batch 16", "ours / tutorial INT8", 7, "×", _speed_up("caption", TUTORIAL, 16)),
    Target("VQA, 3 tokens, first question", "tutorial INT8 / ours", 2.2, "×", _speed_up("first answer", TUTORIAL)),
    Target("VQA, 3 tokens, first question", "transformers fp32 / ours", 6, "×", _speed_up("first answer", ORIGINAL)),
    Target("VQA, further question, same image", "tutorial INT8 / ours", 10, "×", _speed_up("further answer", TUTORIAL)),
    Target("decode step over an image, INT8 weights", "measured / memory floor", 1.5, "×", _over_floor("step"), False),
    Target("vision, INT8", "measured / INT8 floor", 1.25, "×", _over_floor("vision"), False),
    Target("process launch → first caption, warm cache", "seconds", 1.2, "s", _launch_seconds, False),
    Target("peak RSS, INT8 bundle, batch 1, warm cache", "megabytes", 550, "MB", _peak_megabytes, False),
    Target("growth with images in a batch", "largest / smallest, apiece", 1.1, "×", _growth("caption"), False),
    Target("growth with questions on an image", "largest / smallest, apiece", 1.1, "×", _growth("questions"), False),
    Target("growth with tokens", "tokens 21 to 40 / tokens 6 to 20, apiece", 1.2, "×", _late_token, False),
)
