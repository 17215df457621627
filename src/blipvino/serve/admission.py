"""How many texts are waited for: what is too much is refused at once, whole requests at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from blipvino.errors import OverloadError

_LONGEST_WAIT = 60
_BATCH = 16
"""Texts of a kind that are always let in, however slow those before were: side by side they take hardly longer than
one.
"""
_WEIGHT = 0.2
"""Of the last text, in the running mean of how long one takes."""


@dataclass
class _Kind:
    """Texts that take about as long as one another.

    Attributes:
        seconds: that one takes, beside whatever else is done; None as long as none was done.
        last_end: when the last was done.
        pending: that are waited for.
    """

    seconds: float | None = None
    last_end: float = -math.inf
    pending: int = 0

    @property
    def expected(self) -> float:
        """Seconds until all are done."""
        return self.pending * (self.seconds or 0.1)

    def learn(self, texts: int, begun: float) -> None:
        """A text takes as long as has passed since the one before was done, where it was there by then."""
        now = time.monotonic()
        seconds = (now - max(begun, self.last_end)) / max(1, texts)
        self.last_end = now
        self.seconds = seconds if self.seconds is None else self.seconds + _WEIGHT * (seconds - self.seconds)


class Admission:
    """Counts the texts that are waited for. Of one event loop alone.

    Args:
        most: that may be waited for at a time.
        longest: seconds; no more of a kind are let in than can be done within them, as texts of it take now.
    """

    def __init__(self, most: int, longest: float = math.inf) -> None:
        self._most = most
        self._longest = longest
        self._kinds: dict[Hashable, _Kind] = {}

    @property
    def pending(self) -> int:
        """Texts that are waited for."""
        return sum(kind.pending for kind in self._kinds.values())

    def check_open(self) -> None:
        """Check that any text at all would be let in now.

        Raises:
            OverloadError: as many are waited for as may be.
        """
        if self.pending >= self._most:
            raise self._overload(self.pending, 1, self._most)

    def check(self, kind: Hashable, texts: int) -> None:
        """Check that so many texts of a kind would be let in now. What fills the queue alone is, if it is empty.

        Raises:
            OverloadError: too many are waited for.
        """
        of_kind, texts = self._kinds.setdefault(kind, _Kind()), min(texts, self._most)
        for waited_for, most in ((self.pending, self._most), (of_kind.pending, self._allowed(of_kind))):
            if waited_for + texts > most:
                raise self._overload(waited_for, texts, most)

    @contextmanager
    def of(self, kind: Hashable, texts: int) -> Iterator[None]:
        """Let so many texts in, for as long as the block takes.

        Args:
            kind: the same for texts that take about as long.
            texts: how many.

        Raises:
            OverloadError: too many are waited for.
        """
        self.check(kind, texts)
        of_kind, texts = self._kinds[kind], min(texts, self._most)
        of_kind.pending += texts
        begun = time.monotonic()
        try:
            yield
        finally:
            of_kind.pending -= texts
        of_kind.learn(texts, begun)

    @property
    def retry_after(self) -> int:
        """Seconds after which half of what is waited for should be done, 1 at least."""
        # Kinds share the cores evenly: each is done as fast as it was beside the others.
        expected = max((kind.expected for kind in self._kinds.values()), default=0.0)
        return max(1, min(_LONGEST_WAIT, math.ceil(expected / 2)))

    def _overload(self, waited_for: int, texts: int, most: int) -> OverloadError:
        return OverloadError(
            f"{waited_for} texts are waited for already, and {texts} more would be over the {most} that may be; "
            f"try again in {self.retry_after} s"
        )

    def _allowed(self, kind: _Kind) -> int:
        """Texts of a kind that may be waited for now. Where none is, whoever comes is let in, however slow it was."""
        if kind.pending == 0 or not kind.seconds:
            return self._most
        return min(self._most, max(_BATCH, math.floor(self._longest / kind.seconds)))
