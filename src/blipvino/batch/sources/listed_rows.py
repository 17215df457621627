"""A partition whose rows are held: those of a listing that was cut into stretches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from blipvino.batch.batch_rows import InputRow

STRETCH = 256
"""Rows of a partition at the most."""
STRETCH_BYTES = 2**23
"""Bytes of images in a partition, after which it is ended."""


@dataclass(frozen=True)
class ListedRows:
    """Rows that are known already.

    Attributes:
        listed: the rows.
        key: see `Partition`.
    """

    listed: tuple[InputRow, ...]
    key: str | None = None

    def rows(self) -> Iterator[InputRow]:
        """All of them."""
        return iter(self.listed)

    def ids(self) -> Iterator[str]:
        """Of all of them."""
        return (row.id for row in self.listed)


def cut_rows(rows: Iterable[InputRow]) -> Iterator[ListedRows]:
    """Cut rows into partitions, as they come; those of one source always in the same way."""
    stretch, size = list[InputRow](), 0
    for row in rows:
        stretch.append(row)
        size += len(row.image) if isinstance(row.image, bytes) else 0
        if len(stretch) == STRETCH or size >= STRETCH_BYTES:
            yield ListedRows(tuple(stretch))
            stretch, size = [], 0
    if stretch:
        yield ListedRows(tuple(stretch))
