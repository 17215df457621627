"""Contenders side by side: round after round each does the same task, taking turns at going first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from blipvino.measure.race.speed_results import Series
from blipvino.measure.race.work import Outcome, Work
from blipvino.measure.race.worker import ContenderError, Worker

MIN_ROUNDS = 2
SETTLE = 0.03
"""Seconds before a task in which the threads of the one before, which spin for a while, fall asleep."""


@dataclass(frozen=True)
class Pace:
    """How often a task is repeated.

    Attributes:
        rounds: at most, after one that is not counted.
        budget: seconds that one contender may spend on one kind of work, beyond two rounds.
    """

    rounds: int = 7
    budget: float = 15.0


@dataclass
class _Lap:
    """One contender's outcomes of one work."""

    spent: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)

    def has_time(self, pace: Pace) -> bool:
        if len(self.outcomes) < MIN_ROUNDS:
            return True
        return self.spent + self.outcomes[-1].seconds <= pace.budget


class Race:
    """Workers and what became of them. Use it in a ``with``: leaving it ends their processes."""

    def __init__(self, workers: Sequence[Worker], pace: Pace) -> None:
        self._workers = {worker.name: worker for worker in workers}
        self._pace = pace
        self.failures: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            for worker in self._workers.values():
                stack.callback(worker.close)

    def run(self, work: Work, names: Sequence[str]) -> list[Series]:
        """Time a work with the contenders of these names that have not failed before.

        Whoever fails is noted in ``failures`` with the reason, and the others go on.
        """
        laps = {name: _Lap() for name in names if name not in self.failures}
        for number in range(self._pace.rounds + 1):
            for name in _rotated(list(laps), number):
                lap = laps[name]
                if not lap.has_time(self._pace):
                    continue
                outcome = self._attempt(name, work, number)
                if outcome is None:
                    del laps[name]
                elif number > 0:  # the first round compiles, allocates and warms the caches
                    lap.outcomes.append(outcome)
                    lap.spent += outcome.seconds
        return _series(work, {name: lap.outcomes for name, lap in laps.items()})

    def _attempt(self, name: str, work: Work, number: int) -> Outcome | None:
        time.sleep(SETTLE)
        try:
            return self._workers[name].run(work.task(number))
        except ContenderError as error:
            self.failures[name] = f"{work.name}: {error}"
            self._workers[name].close()
            return None


def _rotated(names: list[str], number: int) -> list[str]:
    start = number % len(names) if names else 0
    return names[start:] + names[:start]


def _series(work: Work, outcomes: Mapping[str, list[Outcome]]) -> list[Series]:
    reference = next(iter(outcomes.values()), [])
    return [
        Series(
            work=work.name,
            size=work.size,
            new_tokens=work.new_tokens,
            contender=name,
            seconds=tuple(outcome.seconds for outcome in own),
            parts=tuple(dict(outcome.parts) for outcome in own if outcome.parts),
            agreement=_agreement(reference, own),
        )
        for name, own in outcomes.items()
    ]


def _agreement(reference: Sequence[Outcome], own: Sequence[Outcome]) -> float | None:
    """The share of tokens that are the reference's, over the rounds that both did."""
    pairs = [
        (theirs, mine)
        for a, b in zip(reference, own, strict=False)  # a slow contender does fewer rounds
        for one, other in zip(a.tokens, b.tokens, strict=True)
        for theirs, mine in zip(one, other, strict=True)
    ]
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else None
