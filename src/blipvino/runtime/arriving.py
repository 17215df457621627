"""Iterators that know whether their next item would have to be waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Arriving(Protocol):
    """An iterator that knows whether it would have to be waited for."""

    def has_arrived(self) -> bool:
        """Whether the next item, or the end, is there."""


def arrival_of(items: Any) -> Callable[[], bool]:
    """Tells whether the next item of an iterator, or its end, is there: always, of one that is not `Arriving`."""
    found: Callable[[], bool] = getattr(items, "has_arrived", lambda: True)
    return found
