"""How long each stage of a request took, for its response's headers and for metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from blipvino.runtime.scheduling.jobs import JobTimes


@dataclass
class StageTimes:
    """Seconds by stage: ``read`` (the body), ``image`` (decoding and resizing), ``queue`` (all waiting until the text
    is begun), ``encode`` (what the model sees in image and question), ``decode`` (the text, beside others), ``compute``
    (what has no such stages).
    """

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - begun)

    def add(self, name: str, seconds: float) -> None:
        """Of several texts or images the longest counts: they are made side by side."""
        self.seconds[name] = max(self.seconds.get(name, 0.0), seconds)

    def add_job(self, times: JobTimes) -> None:
        """What one text took."""
        if times.submitted is None or times.decoding is None or times.done is None:
            return
        self.add("queue", times.decoding - times.submitted - times.worked)
        self.add("encode", times.worked)
        self.add("decode", times.done - times.decoding)

    @property
    def header(self) -> str:
        """The value of ``Server-Timing``, in milliseconds."""
        return ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in self.seconds.items())


_current: ContextVar[StageTimes | None] = ContextVar("blipvino_stage_times", default=None)


def begin_times() -> StageTimes:
    """Those of the request that begins in this task."""
    times = StageTimes()
    _current.set(times)
    return times


def current_times() -> StageTimes:
    """Those of the request that this task is of."""
    return _current.get() or StageTimes()
