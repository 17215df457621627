"""Shards as tasks on the nodes write them: each is there whole or not at all, and Ray Data keeps record of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow.fs import LocalFileSystem
from ray.data.block import BlockAccessor
from ray.data.datasource import BlockBasedFileDatasink, FilenameProvider, WriteResult

from blipvino.batch.on_ray.ray_checkpoint import ShardPlace
from blipvino.batch.output.shard_formats import FORMATS, FormatName
from blipvino.batch.row_columns import RowColumns
from blipvino.errors import OutputError
from blipvino.files.placing import flush

PARTIAL = ".partial"
"""After the name of a shard that is being written; Ray Data removes it with the shard, when it begins again."""


@dataclass(frozen=True)
class ShardsWritten:
    """What a run wrote.

    Attributes:
        rows: in all shards.
        errors: of them that have one.
        read_ms: of all rows.
        compute_ms: likewise.
    """

    rows: int = 0
    errors: int = 0
    read_ms: float = 0.0
    compute_ms: float = 0.0

    @classmethod
    def of(cls, table: pa.Table) -> ShardsWritten:
        """Of a table of rows."""
        sums = {name: sum(table.column(name).to_pylist()) for name in ("read_ms", "compute_ms")}
        return cls(table.num_rows, table.num_rows - table.column("error").null_count, **sums)

    def __add__(self, other: ShardsWritten) -> ShardsWritten:
        """Both."""
        return ShardsWritten(
            self.rows + other.rows,
            self.errors + other.errors,
            self.read_ms + other.read_ms,
            self.compute_ms + other.compute_ms,
        )


class ShardSink(BlockBasedFileDatasink):
    """Writes a shard a task. Ray Data takes it for a sink of files, and so commits in two phases.

    Args:
        place: of the shards.
        form: of their content.
        columns: of the rows.
        rows: of a shard, at the least; the last one has fewer.
        run: that may write there.
    """

    def __init__(self, place: ShardPlace, form: FormatName, columns: RowColumns, rows: int, run: str) -> None:
        names = _ShardNames(FORMATS[form].suffix)
        super().__init__(place.shards, min_rows_per_file=rows, filesystem=place.filesystem, filename_provider=names)
        self._is_local = isinstance(place.filesystem, LocalFileSystem)
        self._place = place
        self._run = run
        self._form = form
        self._columns = columns
        self.written = ShardsWritten()

    def write(self, blocks: Iterable[pa.Table], ctx: Any) -> Any:
        """Write one shard, on a node.

        Returns:
            `ShardsWritten`, which goes to `on_write_complete`.

        Raises:
            OutputError: another run does the job now.
        """
        if not self._place.is_taken_by(self._run):
            raise OutputError(f"{self.path}: another run does this job now; this one ends")
        given = list(blocks)
        super().write(given, ctx)
        tables = [BlockAccessor.for_block(block).to_arrow() for block in given]
        return sum((ShardsWritten.of(table) for table in tables if table.num_rows), ShardsWritten())

    def write_block_to_file(self, block: BlockAccessor, file: IO[bytes]) -> None:
        """Write all rows of a shard."""
        content = BytesIO()
        writer = FORMATS[self._form].writer(content, self._columns)
        writer.write_table(block.to_arrow())
        writer.end()
        file.write(content.getvalue())

    def open_output_stream(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A file that appears when it is whole, and is on disk then; stores of objects have no others."""
        return _whole_file(Path(path)) if self._is_local else super().open_output_stream(path)

    def on_write_complete(self, write_result: WriteResult[Any]) -> None:
        """Add up what was written, in the process of the job."""
        self.written = sum(write_result.write_returns, ShardsWritten())


@contextmanager
def _whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file under another name, and give it its own when all of it is on disk."""
    partial = path.with_name(f"{path.name}{PARTIAL}")
    with partial.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    flush([path.parent])


class _ShardNames(FilenameProvider):
    """Names that no other run gives, in the order of tasks."""

    def __init__(self, suffix: str) -> None:
        super().__init__(file_format=suffix.removeprefix("."))
        self._suffix = suffix

    def get_filename_for_task(self, write_uuid: str, task_index: int) -> str:
        """As many digits as no job has tasks: no name begins with another one, by which Ray Data removes files."""
        return f"part-{write_uuid}-{task_index:09}{self._suffix}"
