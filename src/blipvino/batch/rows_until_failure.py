"""Rows up to the one at which they fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from blipvino.errors import BlipvinoError

Item = TypeVar("Item")


@dataclass
class RowsUntilFailure(Iterator[Item], Generic[Item]):
    """Rows that end where they fail: what was given before is in other hands, and is made. Whoever takes them asks for
    `failure` afterwards.

    Attributes:
        rows: that may fail.
        failure: why they ended, if not by themselves.
    """

    rows: Iterator[Item]
    failure: BlipvinoError | None = None

    def __next__(self) -> Item:
        """The next row."""
        if self.failure is not None:
            raise StopIteration
        try:
            return next(self.rows)
        except BlipvinoError as error:
            self.failure = error
            raise StopIteration from error
