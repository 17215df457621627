"""Rows into shards: each is finished as a whole, and never touched again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from blipvino.batch.batch_rows import OutputRow
from blipvino.batch.output.output_place import OutputPlace
from blipvino.batch.output.shard_formats import ROWS_HELD, RowsWriter, ShardFormat
from blipvino.batch.row_columns import RowColumns

_SHARD = re.compile(r"part-([0-9]{5,})(\.[a-z]+)")


def shard_number(name: str, suffix: str) -> int | None:
    """The number of a shard by its name; None of a file that is no shard of this format."""
    found = _SHARD.fullmatch(name)
    return int(found[1]) if found and found[2] == suffix else None


def shard_names(files: Iterable[str], suffix: str) -> list[str]:
    """Those of a place's files that are shards, by their numbers."""
    numbers = {name: number for name in files if (number := shard_number(name, suffix)) is not None}
    return sorted(numbers, key=lambda name: numbers[name])


@dataclass
class ShardWriter:
    """Writes rows, and finishes a shard whenever it has enough of them.

    Attributes:
        place: where to.
        form: the format.
        columns: of the rows.
        rows: of a shard.
        number: of the next shard.
        finished: the shards that were finished, and their rows.
    """

    place: OutputPlace
    form: ShardFormat
    columns: RowColumns
    rows: int
    number: int
    finished: dict[str, int] = field(default_factory=dict)
    _held: list[OutputRow] = field(default_factory=list)
    _written: int = 0
    _open: ExitStack | None = None
    _writer: RowsWriter | None = None

    def add(self, row: OutputRow) -> None:
        """Take a row. It is lost, if the process is killed, until its shard is finished.

        Raises:
            OutputError: it cannot be written.
        """
        with self._kept_or_discarded():
            self._held.append(row)
            if len(self._held) == ROWS_HELD:
                self._write()
        if self._written + len(self._held) == self.rows:
            self.finish()

    def finish(self) -> None:
        """Finish the shard that is being written, if there is one.

        Raises:
            OutputError: it cannot be written; then its rows are lost.
        """
        with self._kept_or_discarded():
            self._write()
            if self._open is not None and self._writer is not None:
                self._writer.end()
                self._open.close()
                self.finished[self._name] = self._written
                self.number += 1
            self._reset()

    @contextmanager
    def _kept_or_discarded(self) -> Iterator[None]:
        """Leave nothing of the shard that is being written, if the block fails."""
        try:
            yield
        except BaseException as error:
            opened = self._open
            self._reset()
            if opened is not None:
                opened.__exit__(type(error), error, error.__traceback__)
            raise

    @property
    def _name(self) -> str:
        return f"part-{self.number:05}{self.form.suffix}"

    def _write(self) -> None:
        if not self._held:
            return
        if self._writer is None:
            self._open = ExitStack()
            file = self._open.enter_context(self.place.write(self._name))
            self._writer = self.form.writer(file, self.columns)
        self._writer.write(self._held)
        self._written += len(self._held)
        self._held = []

    def _reset(self) -> None:
        self._held, self._written, self._open, self._writer = [], 0, None, None
