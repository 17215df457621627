"""Texts that end a text: nothing of them is told, however they are cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence


def stopped(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """A text up to the stop that is whole first, and whether there is one."""
    found = [(text.index(stop) + len(stop), text.index(stop)) for stop in stops if stop in text]
    return (text[: min(found)[1]], True) if found else (text, False)


class StoppedText:
    """A text that comes in pieces, up to what stops it. What a stop may begin with is held back.

    Args:
        stops: texts that end it.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._text = ""
        self._told = 0
        self.has_ended = False

    def grown(self, piece: str) -> str:
        """What can be told now that the text goes on so; may be empty."""
        if self.has_ended:
            return ""
        self._text, self.has_ended = stopped(self._text + piece, self._stops)
        return self._up_to(len(self._text) if self.has_ended else len(self._text) - self._begun)

    def rest(self) -> str:
        """What was held back, when the text is whole."""
        return self._up_to(len(self._text))

    def _up_to(self, end: int) -> str:
        begin, self._told = self._told, max(self._told, end)
        return self._text[begin : self._told]

    @property
    def _begun(self) -> int:
        """Characters at the end of the text that a stop begins with."""
        lengths = (
            length
            for stop in self._stops
            for length in range(1, min(len(stop), len(self._text) + 1))
            if self._text.endswith(stop[:length])
        )
        return max(lengths, default=0)
