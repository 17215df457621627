"""Timing a call on its own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_seconds(run: Callable[[], object], *, runs: int = 5, warm_ups: int = 2) -> float:
    """The median wall-clock time of a call."""
    return statistics.median(_samples(run, runs, warm_ups))


def best_seconds(run: Callable[[], object], *, runs: int = 10, warm_ups: int = 2) -> float:
    """The shortest wall-clock time of a call: what it takes when nothing gets in its way."""
    return min(_samples(run, runs, warm_ups))


def _samples(run: Callable[[], object], runs: int, warm_ups: int) -> list[float]:
    seconds = []
    for _ in range(warm_ups + runs):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return seconds[warm_ups:]
