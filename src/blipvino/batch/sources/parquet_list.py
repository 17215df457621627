"""Lists of images in Parquet files, read a row group at a time and no column more than is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.remote_files import INSTALL_BATCH
from blipvino.batch.sources.file_places import Place
from blipvino.batch.sources.list_columns import ListColumns, ListRecords
from blipvino.errors import DataError, InputError

if TYPE_CHECKING:
    import pyarrow.parquet

_AT_ONCE = 16
"""Records that are held: they may have images in them."""


@dataclass(frozen=True)
class RowGroup:
    """A row group of a Parquet file.

    Attributes:
        place: of the file.
        columns: of each role, by its name.
        group: its place in the file.
        first: number of its first record in the file, from 1.
        structure: the column that has ``path`` and ``bytes`` of images in it; None where there is none.
        key: see `Partition`.
    """

    place: Place
    columns: dict[str, str]
    group: int
    first: int
    structure: str | None = None
    key: str | None = None

    def rows(self) -> Iterator[InputRow]:
        """Its records, a few at a time.

        Raises:
            DataError: they cannot be read.
        """
        return self._read(self.columns)

    def ids(self) -> Iterator[str]:
        """As of `rows`, without the bytes of images."""
        columns = {role: name for role, name in self.columns.items() if role in ("id", "image", "question")}
        return (row.id for row in self._read(columns, without_bytes=True))

    def _read(self, columns: dict[str, str], *, without_bytes: bool = False) -> Iterator[InputRow]:
        made = ListRecords(self.place.name, self.place.folder)
        number = self.first
        with opened_parquet(self.place) as file:
            if not columns:  # ids are made up
                for _ in range(file.metadata.row_group(self.group).num_rows):
                    yield made.row({}, columns, number)
                    number += 1
                return
            names = sorted(set(columns.values()))
            if without_bytes:
                names = [f"{name}.path" if name == self.structure else name for name in names]
            for batch in file.iter_batches(_AT_ONCE, row_groups=[self.group], columns=names):
                for record in batch.to_pylist():
                    yield made.row(record, columns, number)
                    number += 1


@dataclass(frozen=True)
class ParquetList:
    """A list of images in a Parquet file.

    Attributes:
        place: of the file.
        columns: what they are called.
    """

    place: Place
    columns: ListColumns = field(default_factory=ListColumns)

    def partitions(self) -> Iterator[RowGroup]:
        """Its row groups.

        Raises:
            DataError: it cannot be read, or has not the columns that are named.
        """
        with opened_parquet(self.place) as file:
            columns = self.columns.found_in(file.schema_arrow.names, str(self.place))
            image = columns.get("image")
            structure = image if image and hasattr(file.schema_arrow.field(image).type, "fields") else None
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        first = 1
        for group, size in enumerate(sizes):
            yield RowGroup(self.place, columns, group, first, structure)
            first += size


@contextmanager
def opened_parquet(place: Place) -> Iterator[pyarrow.parquet.ParquetFile]:
    """A Parquet file, to be read in the block.

    Raises:
        DataError: it cannot be read.
        InputError: pyarrow is missing.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  # of an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"{place}: Parquet needs the `batch` extra ({error}); {INSTALL_BATCH}") from error
    try:
        with place.open() as opened, parquet.ParquetFile(opened) as file:
            yield file
    except pa.ArrowException as error:  # of opening it, and of what is read in the block
        raise DataError(f"{place}: cannot be read as Parquet ({error})") from error
