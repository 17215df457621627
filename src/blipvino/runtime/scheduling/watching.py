"""What a scheduler tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Load:
    """What a scheduler is busy with.

    Attributes:
        waiting: jobs whose images or questions have not been looked at.
        ready: jobs that wait for a place in a batch.
        decoded: texts that are being decoded.
        rows: of them all.
    """

    waiting: int
    ready: int
    decoded: int
    rows: int


class Watch(Protocol):
    """Is told what a scheduler does, in the threads that do it, which it must not hold up."""

    def encoded(self, texts: int, seconds: float) -> None:
        """So many texts got what they are decoded of, together, by that much work."""

    def stepped(self, rows: int, seconds: float) -> None:
        """So many rows of text got their next token."""
