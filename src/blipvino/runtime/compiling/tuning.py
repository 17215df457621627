"""Which way to compute a graph is the fastest here, by the clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import openvino as ov

BUDGET_SECONDS = 1.0
"""For all rounds of one graph's candidates together."""
LEAST_ROUNDS, MOST_ROUNDS = 2, 50
CLEARLY_FASTER = 0.97
"""Another way than the first must take less than this share of its time: a tie is not to be decided by noise."""


@dataclass(frozen=True)
class Tuning:
    """What was measured of one graph.

    Attributes:
        chosen: the label of the way that is used.
        milliseconds: of each way that passed its self-test, by its label: medians.
    """

    chosen: str
    milliseconds: Mapping[str, float]

    def __str__(self) -> str:
        """The way that is used, then the others."""
        others = [f"{label} {_figure(ms)}" for label, ms in self.milliseconds.items() if label != self.chosen]
        return "; ".join([f"{self.chosen}, {_figure(self.milliseconds[self.chosen])} ms", *others])

    def to_json(self) -> dict[str, Any]:
        """To be kept with a compiled graph."""
        rounded = {label: round(value, 3) for label, value in self.milliseconds.items()}
        return {"chosen": self.chosen, "milliseconds": rounded}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(str(content["chosen"]), {label: float(ms) for label, ms in content["milliseconds"].items()})


def measure(labels: Sequence[str], requests: Sequence[ov.InferRequest]) -> Tuning:
    """Run requests by turns, each on the inputs that it holds, and choose.

    Args:
        labels: of the ways; the first is preferred.
        requests: of each, which ran once already; the memory that they read and write must live.
    """
    seconds: list[list[float]] = [[] for _ in requests]
    started = time.perf_counter()
    while len(seconds[0]) < LEAST_ROUNDS or (
        len(seconds[0]) < MOST_ROUNDS and time.perf_counter() - started < BUDGET_SECONDS
    ):
        for request, taken in zip(requests, seconds, strict=True):
            before = time.perf_counter()
            request.infer(share_outputs=True)
            taken.append(time.perf_counter() - before)
    medians = [statistics.median(taken) * 1000 for taken in seconds]
    return choose(dict(zip(labels, medians, strict=True)))


def choose(milliseconds: Mapping[str, float]) -> Tuning:
    """The fastest way, or the first where none is clearly faster."""
    first, fastest = next(iter(milliseconds)), min(milliseconds, key=lambda label: milliseconds[label])
    clearly = milliseconds[fastest] < CLEARLY_FASTER * milliseconds[first]
    return Tuning(fastest if clearly else first, dict(milliseconds))


def _figure(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.1f}"
