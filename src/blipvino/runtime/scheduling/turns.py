"""Whose work the cores do: one graph fills a few of them, and two at a time would only hold each other up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

CORES_OF_A_GRAPH = 4
"""More cores than these have room for another graph."""
CREDIT_SECONDS = 0.2
"""What work that begins again may be ahead of work that went on: it is short more often than not."""


class Work(Enum):
    """Kinds of work, each of which has the same right to the cores."""

    IMAGES = auto()
    CAPTIONS = auto()
    ANSWERS = auto()
    RANKINGS = auto()


class Turns:
    """Lets threads work in turn: of the kinds that wait, the one that had the least time is next.

    So what takes little of the time, as answers do, hardly waits; what takes much shares what is left.

    The time that each had is counted up to that of the work that had the last turn: what paused comes back with a
    little credit, whatever others did meanwhile.

    Args:
        at_once: how many may work at a time.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._changed = threading.Condition()
        self._free = at_once
        self._spent = dict.fromkeys(Work, 0.0)
        self._latest = 0.0
        self._waiting = dict.fromkeys(Work, 0)
        self._working = dict.fromkeys(Work, 0)

    @classmethod
    def of_cores(cls, cores: int) -> Turns:
        """As many at a time as so many cores have room for."""
        return cls(max(1, cores // CORES_OF_A_GRAPH))

    @contextmanager
    def turn(self, work: Work) -> Iterator[None]:
        """The block is run when it is its turn."""
        with self._changed:
            self._begin_to_wait(work)
            while not (self._free and self._next is work):
                self._changed.wait()
            self._latest = max(self._latest, self._spent[work])
            self._waiting[work] -= 1
            self._working[work] += 1
            self._free -= 1
            self._changed.notify_all()
        begun = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._spent[work] += time.monotonic() - begun
                self._working[work] -= 1
                self._free += 1
                self._changed.notify_all()

    @property
    def _next(self) -> Work:
        """Of those that wait."""
        return min((work for work in Work if self._waiting[work]), key=lambda work: self._spent[work])

    def _begin_to_wait(self, work: Work) -> None:
        if not self._waiting[work] and not self._working[work]:
            self._spent[work] = max(self._spent[work], self._latest - CREDIT_SECONDS)
        self._waiting[work] += 1
