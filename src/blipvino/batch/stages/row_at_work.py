"""A row on its way from what was read to what is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from blipvino.arrays import Pixels
from blipvino.batch.batch_rows import InputRow
from blipvino.runtime.scheduling.jobs import SharedImage


@dataclass(eq=False)
class ReadImage:
    """An image as the models of a job take it; rows that follow one another about one file share it.

    Attributes:
        texts: for the model of texts; None where there is none.
        pixels: ``[size, size, 3]`` for the model of embeddings; None where there is none.
        milliseconds: that reading, decoding and resizing took.
    """

    texts: SharedImage | None
    pixels: Pixels | None
    milliseconds: float


@dataclass(eq=False)
class RowAtWork:
    """A row, and what the stages before have made of it.

    Attributes:
        row: as it came in.
        questions: that are asked of it.
        image: what was read; None where that was not possible.
        made: columns, so far.
        compute_ms: that the models had it in hand, so far.
        problems: why something is missing.
    """

    row: InputRow
    questions: tuple[str, ...]
    image: ReadImage | None
    made: dict[str, Any] = field(default_factory=dict)
    compute_ms: float = 0.0
    problems: list[str] = field(default_factory=list)


class Stage(Protocol):
    """Makes some columns."""

    def run(self, rows: Iterator[RowAtWork]) -> Iterator[RowAtWork]:
        """Take rows, no further ahead than is of use, and hand on each in its turn; one without an image as it is.

        Raises:
            BlipvinoError: the model cannot go on, whatever the row.
        """
        ...
