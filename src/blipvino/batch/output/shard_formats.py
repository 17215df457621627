"""The formats of shards: Parquet and JSON objects, one a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

from blipvino.batch.batch_rows import OutputRow
from blipvino.batch.row_columns import RowColumns, check_arrow
from blipvino.errors import OutputError

if TYPE_CHECKING:
    import pyarrow

FormatName = Literal["parquet", "jsonl"]
ROWS_HELD = 500
"""Rows that are held before they go to the file, as a row group of Parquet."""


@dataclass(frozen=True)
class FinishedRow:
    """What is known of a row that is in a finished shard.

    Attributes:
        id: the row's.
        failed: whether it has an error.
    """

    id: str
    failed: bool


class RowsWriter(Protocol):
    """Writes the rows of one shard."""

    def write(self, rows: Sequence[OutputRow]) -> None:
        """Write some more; no more than `ROWS_HELD` at a time."""
        ...

    def write_table(self, table: pyarrow.Table) -> None:
        """The same of rows that are in Arrow's form already, as `RowColumns.arrow_table` makes it."""
        ...

    def end(self) -> None:
        """Write what comes after the rows; the file itself stays open."""
        ...


class ShardFormat(Protocol):
    """How shards are written, and read again."""

    @property
    def suffix(self) -> str:
        """Of their names."""
        ...

    def check(self) -> None:
        """Look for what it needs.

        Raises:
            InputError: a library is missing.
        """
        ...

    def writer(self, file: BinaryIO, columns: RowColumns) -> RowsWriter:
        """What writes rows to a file.

        Raises:
            InputError: a library is missing.
        """
        ...

    def finished(self, file: BinaryIO, name: str) -> Iterator[FinishedRow]:
        """The rows of a finished shard.

        Args:
            file: its content.
            name: what errors call it.

        Raises:
            OutputError: it is damaged.
        """
        ...


class JsonLines:
    """JSON objects, one a line."""

    suffix = ".jsonl"

    def check(self) -> None:
        """It needs nothing."""

    def writer(self, file: BinaryIO, columns: RowColumns) -> RowsWriter:
        """What writes rows to a file."""
        return _LinesWriter(file, columns)

    def finished(self, file: BinaryIO, name: str) -> Iterator[FinishedRow]:
        """The rows of a finished shard."""
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                yield FinishedRow(row["id"], row["error"] is not None)
            except (ValueError, KeyError, TypeError) as error:
                raise _damaged(name, f"line {number}: {error!r}") from error


class Parquet:
    """Parquet, compressed."""

    suffix = ".parquet"

    def check(self) -> None:
        """It needs pyarrow."""
        check_arrow()

    def writer(self, file: BinaryIO, columns: RowColumns) -> RowsWriter:
        """What writes rows to a file."""
        return _ParquetWriter(file, columns)

    def finished(self, file: BinaryIO, name: str) -> Iterator[FinishedRow]:
        """The rows of a finished shard."""
        import pyarrow as pa  # noqa: PLC0415  # of an extra, which wrote it
        from pyarrow import parquet  # noqa: PLC0415

        try:
            for batch in parquet.ParquetFile(file).iter_batches(columns=["id", "error"]):
                ids, fine = batch.column("id").to_pylist(), batch.column("error").is_null().to_pylist()
                yield from (FinishedRow(each, not is_fine) for each, is_fine in zip(ids, fine, strict=True))
        except (pa.ArrowException, KeyError) as error:
            raise _damaged(name, str(error)) from error


FORMATS: dict[FormatName, ShardFormat] = {"parquet": Parquet(), "jsonl": JsonLines()}


class _LinesWriter:
    def __init__(self, file: BinaryIO, columns: RowColumns) -> None:
        self._file = file
        self._columns = columns

    def write(self, rows: Sequence[OutputRow]) -> None:
        self._write(map(self._columns.values, rows))

    def write_table(self, table: pyarrow.Table) -> None:
        self._write(table.to_pylist())

    def _write(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            values = {name: _finite(value) for name, value in row.items()}
            self._file.write(json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def end(self) -> None:
        pass


class _ParquetWriter:
    def __init__(self, file: BinaryIO, columns: RowColumns) -> None:
        self._columns = columns
        schema = columns.arrow_schema()
        from pyarrow import parquet  # noqa: PLC0415  # of an extra

        self._writer = parquet.ParquetWriter(file, schema)

    def write(self, rows: Sequence[OutputRow]) -> None:
        self._writer.write_table(self._columns.arrow_table(rows))

    def write_table(self, table: pyarrow.Table) -> None:
        self._writer.write_table(table, row_group_size=ROWS_HELD)

    def end(self) -> None:
        self._writer.close()


def _finite(value: Any) -> Any:
    """A value as JSON can have it: no number in place of one without end."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _damaged(name: str, reason: str) -> OutputError:
    return OutputError(
        f"{name}: this shard is damaged ({reason}); remove it, and its images are done again with the next run"
    )
