"""Ctrl-C that waits for the end of a training step: a step that is broken off leaves half of its parameters changed."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Notes that Ctrl-C came, while it is entered; a second one interrupts as ever. For the main thread.

    Attributes:
        came: whether it did.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        signal.signal(signal.SIGINT, self._before)


def leave_to_the_parent(_worker: int) -> None:
    """Ignore Ctrl-C, which a terminal sends to worker processes too: they are needed until the step is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
