"""Lists of images, one or several of a kind, here or behind URLs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from blipvino.batch.row_source import Partition
from blipvino.batch.sources.file_places import absolute, is_below, list_places, suffix_of
from blipvino.batch.sources.list_columns import ListColumns
from blipvino.batch.sources.parquet_list import ParquetList
from blipvino.batch.sources.text_lists import JSON_LINES, TABLES, TextList
from blipvino.errors import DataError

PARQUET = frozenset({".parquet", ".pq"})
LISTS = JSON_LINES | TABLES.keys() | PARQUET
"""The suffixes of lists."""


@dataclass(frozen=True)
class ListFiles:
    """Lists of images.

    Attributes:
        text: path or URL of a file, a pattern, or several in braces, whose suffix is one of `LISTS`.
        columns: what they are called.
        output: path or URL of the folder that the job writes: what a pattern finds there is no list of the job's.
    """

    text: str
    columns: ListColumns = field(default_factory=ListColumns)
    output: str | None = None

    @property
    def name(self) -> str:
        """The absolute path, and the columns that are named."""
        return self.columns.of_list(absolute(self.text))

    @property
    def lists_quickly(self) -> bool:
        """They do."""
        return True

    def partitions(self) -> Iterator[Partition]:
        """Stretches of each list, or its row groups.

        Raises:
            DataError: there is none, one cannot be read, or has not the columns that are named.
        """
        found = False
        for place in list_places(self.text, [suffix_of(self.text)]):
            if self.output is not None and is_below(place.location, self.output):
                continue
            found, is_parquet = True, place.suffix in PARQUET
            yield from (ParquetList if is_parquet else TextList)(place, self.columns).partitions()
        if not found:
            raise DataError(f"{self.text}: there is nothing of this name but in --output {self.output}")
