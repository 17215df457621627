"""What workers tell the process that started them, and each other: that they live, and that they are loaded."""

from __future__ import annotations

import time
from multiprocessing.context import SpawnContext

BEAT_SECONDS = 1.0
"""Between two beats of a worker whose event loop turns, and has nothing else to tell that by."""
_LONGEST_LOOK = 1.0
"""What a look at a heart counts for at the most: who watches may itself have been stopped, with all others."""


class Heartbeat:
    """A count that a worker raises and its parent reads.

    Args:
        context: of the worker's process.
    """

    def __init__(self, context: SpawnContext) -> None:
        self._count = context.Value("Q", 0, lock=False)  # one writes it

    @property
    def count(self) -> int:
        """Of beats; 0 until the worker's event loop turns."""
        return int(self._count.value)

    def beat(self) -> None:
        """Raise the count."""
        self._count.value += 1


class Flag:
    """What one process says and others read; it is not taken back.

    Args:
        context: of their processes.
    """

    def __init__(self, context: SpawnContext) -> None:
        self._value = context.Value("b", 0, lock=False)  # a lock would stay shut if who holds it is killed

    @property
    def is_set(self) -> bool:
        """Whether it was said."""
        return bool(self._value.value)

    def set(self) -> None:
        """Say it."""
        self._value.value = 1


class Supervision:
    """What a worker and the process that starts it tell each other. It is given to the worker when that is started.

    Args:
        context: of the worker's process.
        group_ready: of all workers of a group: that all were ready at a time. From then on one that is not takes no
            request as long as another is.

    Attributes:
        heartbeat: that the worker's event loop turns.
        loaded: that its models are loaded.
        group_ready: as given.
    """

    def __init__(self, context: SpawnContext, group_ready: Flag) -> None:
        self.heartbeat = Heartbeat(context)
        self.loaded = Flag(context)
        self.group_ready = group_ready


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
