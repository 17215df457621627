"""The record of a search: every recipe that was tried, what was measured of it, and what was decided."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from blipvino.machine.record import Machine
from blipvino.recipe import FP16, Treatment

Treatments = Mapping[str, Treatment]
"""A treatment for each of a checkpoint's graphs."""
Phase = Literal["start", "alone", "together", "better", "result"]
Decision = Literal["kept", "measured", "rejected", "refused"]
Outcome = Literal["finished", "interrupted", "out of time"]

SAME_SPEED = 0.02
"""Times whose ratio differs from one by less count as equal."""


@dataclass(frozen=True)
class Score:
    """How good a recipe's texts are on the validation samples, in points of 100.

    Attributes:
        accuracy: VQA accuracy, or agreement with the original's texts.
        drop: points below the original; negative where it is above.
        low: lower end of the drop's 95% bootstrap interval.
        high: upper end of it.
    """

    accuracy: float
    drop: float
    low: float
    high: float


@dataclass(frozen=True)
class Race:
    """The same texts by two recipes that took turns, against the clock.

    Attributes:
        challenger: median seconds of one.
        holder: median seconds of the other.
        ratio: median of the challenger's time over the holder's at the same turn, which what else the machine does
            disturbs least.
        low: lower end of the 95% interval of that median.
        high: upper end of it.
    """

    challenger: float
    holder: float
    ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, challenger: Sequence[float], holder: Sequence[float]) -> Self:
        """Of the seconds at each turn. The interval is that of order statistics, and assumes no distribution."""
        ratios = sorted(one / other for one, other in zip(challenger, holder, strict=True))
        reach = 0.98 * math.sqrt(len(ratios))  # half of 1.96 standard deviations of a binomial
        low, high = math.floor(len(ratios) / 2 - reach), math.ceil(len(ratios) / 2 + reach)
        return cls(
            statistics.median(challenger),
            statistics.median(holder),
            statistics.median(ratios),
            ratios[max(low, 0)],
            ratios[min(high, len(ratios) - 1)],
        )

    @property
    def gain(self) -> float:
        """How much faster the challenger is, relatively; 0 where that is too little or too uncertain."""
        certain = self.high < 1 or self.low > 1
        return 1 - self.ratio if certain and abs(1 - self.ratio) > SAME_SPEED else 0.0


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried.

    Attributes:
        phase: "start" (the original in FP16, then every graph by its default), "alone" (one graph compressed, the
            others FP16), "together" (what suits each graph alone), "better" (one graph changed in the best so far) or
            "result" (the best, against the original).
        graph: the one that it is about, "alone" or "better"; else None.
        treatments: the whole recipe.
        score: None where it was not measured.
        race: against the best so far (at the end, against FP16); None where there was none.
        size: bytes of all weights; None where it could not be built.
        decision: "kept" (the best so far from here on), "measured" (to learn from), "rejected", or "refused" (NNCF
            cannot do it).
        reason: of the decision.
    """

    phase: Phase
    graph: str | None
    treatments: Treatments
    score: Score | None
    race: Race | None
    size: int | None
    decision: Decision
    reason: str

    def __post_init__(self) -> None:
        """Check that it is about a graph of the recipe.

        Raises:
            ValueError: it is not.
        """
        if self.graph is not None and self.graph not in self.treatments:
            raise ValueError(f"a trial is about {self.graph!r}, which its recipe does not treat")

    def to_json(self) -> dict[str, Any]:
        """For the manifest. Times are in seconds, sizes in bytes, accuracies in points."""
        return {
            "phase": self.phase,
            "graph": self.graph,
            "treatments": {graph: treatment.to_json() for graph, treatment in self.treatments.items()},
            "score": None if self.score is None else asdict(self.score),
            "race": None if self.race is None else asdict(self.race),
            "size": self.size,
            "decision": self.decision,
            "reason": self.reason,
        }

    @property
    def what(self) -> str:
        """What is new in it, for people."""
        return described(self.phase, self.graph, self.treatments)


@dataclass(frozen=True)
class SearchRecord:
    """A search, as the manifest of the bundle that it made records it.

    Attributes:
        measure: what accuracy means: "VQA accuracy", or the agreement with the original's texts.
        outcome: how it ended.
        max_drop: points that might be lost.
        decide_by: what was compared with it: the measured drop ("estimate"), or the end of its interval ("bound").
        source: of the validation samples.
        samples: how many (image, question) pairs, or images of a source without questions.
        images: how many.
        seed: of their shuffle, and of the intervals.
        latency_samples: images that recipes were timed on.
        seconds: that it took.
        machine: where.
        trials: all that was tried, in order.
        arithmetic: of quantized graphs there, see `blipvino.machine.host.Choice`; None in records of before.
    """

    measure: str
    outcome: Outcome
    max_drop: float
    decide_by: str
    source: str
    samples: int
    images: int
    seed: int
    latency_samples: int
    seconds: float
    machine: Machine
    trials: tuple[Trial, ...]
    arithmetic: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**values, "machine": asdict(self.machine), "trials": [trial.to_json() for trial in self.trials]}


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        treatments: the best recipe.
        trials: all that was tried, in order.
        outcome: how the search ended.
    """

    treatments: Treatments
    trials: tuple[Trial, ...]
    outcome: Outcome


def described(phase: Phase, graph: str | None, treatments: Treatments) -> str:
    """A trial in a line: the graph that it is about, or else all that are not in FP16."""
    if graph is not None:
        return f"{graph}{' alone' if phase == 'alone' else ''}: {treatments[graph]}"
    parts = [f"{name}: {treatment}" for name, treatment in treatments.items() if treatment != FP16]
    return ", ".join(parts) or "all in FP16"
