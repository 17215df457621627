"""How many texts are waited for: what is too much is refused at once, whole requests at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from blipvino.errors import OverloadError

_LONGEST_WAIT = 60
_BATCH = 16
"""Texts that are always let in, however slow those before were: side by side they take hardly longer than one."""
_WEIGHT = 0.2
"""Of the last text, in the running mean of how long one takes."""


class Admission:
    """Counts the texts that are waited for. Of one event loop alone.

    Args:
        most: that may be waited for at a time.
        longest: seconds; no more are let in than can be done within them, as texts take now.
    """

    def __init__(self, most: int, longest: float = math.inf) -> None:
        self._most = most
        self._longest = longest
        self._seconds: float | None = None
        self._last_end = -math.inf
        self.pending = 0

    @contextmanager
    def of(self, texts: int) -> Iterator[None]:
        """Let so many texts in, for as long as the block takes.

        Raises:
            OverloadError: too many are waited for.
        """
        most = self._allowed
        if self.pending + texts > most:
            raise OverloadError(
                f"{self.pending} texts are waited for already, and {texts} more would be over the {most} that may be; "
                f"try again in {self.retry_after} s"
            )
        self.pending += texts
        begun = time.monotonic()
        try:
            yield
        except BaseException:
            self.pending -= texts
            raise
        self.pending -= texts
        self._learn(texts, begun)

    @property
    def retry_after(self) -> int:
        """Seconds after which half of what is waited for should be done, 1 at least."""
        expected = self.pending / 2 * (self._seconds or 0.1)
        return max(1, min(_LONGEST_WAIT, math.ceil(expected)))

    @property
    def _allowed(self) -> int:
        """Texts that may be waited for now. Whoever comes to an idle server is let in, however slow it was before."""
        if self.pending == 0 or not self._seconds:
            return self._most
        return min(self._most, max(_BATCH, math.floor(self._longest / self._seconds)))

    def _learn(self, texts: int, begun: float) -> None:
        """A text takes as long as has passed since the one before was done, where it was there by then."""
        now = time.monotonic()
        seconds = (now - max(begun, self._last_end)) / max(1, texts)
        self._last_end = now
        self._seconds = seconds if self._seconds is None else self._seconds + _WEIGHT * (seconds - self._seconds)
