"""What workers tell the process that started them, and each other: that they live, and that they are loaded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.context import SpawnContext

BEAT_SECONDS = 1
"""Between two beats of a worker whose event loop turns."""
_LONGEST_LOOK = 1.0
"""What a look at a heart counts for at the most: who watches may itself have been stopped, with all others."""


class Heartbeat:
    """A count that a worker raises and its parent reads. It is given to the worker when that is started.

    Args:
        context: of the worker's process.
    """

    def __init__(self, context: SpawnContext) -> None:
        self._count = context.Value("Q", 0, lock=False)  # one writes it

    @property
    def count(self) -> int:
        """Of beats; 0 until the worker serves."""
        return int(self._count.value)

    async def beat(self) -> None:
        """Raise the count."""
        self._count.value += 1


class GroupReadiness:
    """How many workers have loaded their models since the group began: once all have, somebody always has.

    Whoever replaces one that died takes no request before it is loaded.

    Args:
        context: of their processes.
        workers: of the group.
    """

    def __init__(self, context: SpawnContext, workers: int) -> None:
        self._workers = workers
        self._loaded = context.Value("I", 0)

    @property
    def is_complete(self) -> bool:
        """Whether a request may come to any worker."""
        return int(self._loaded.value) >= self._workers

    def add(self) -> None:
        """Count one more."""
        with self._loaded.get_lock():
            self._loaded.value += 1


@dataclass(frozen=True)
class Supervision:
    """What a worker is given by the process that starts it.

    Attributes:
        heartbeat: its own.
        readiness: of the group.
    """

    heartbeat: Heartbeat
    readiness: GroupReadiness


class Stethoscope:
    """Listens to a heart.

    Args:
        heartbeat: of a worker.
    """

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._heard = 0
        self._silence = 0.0
        self._looked = time.monotonic()

    def silence(self) -> float:
        """Seconds without a beat, as far as somebody looked; 0 until the first."""
        now, count = time.monotonic(), self._heartbeat.count
        passed, self._looked = min(_LONGEST_LOOK, now - self._looked), now
        self._silence = self._silence + passed if count == self._heard and count else 0.0
        self._heard = count
        return self._silence
