"""Rows that are still to be done: each id once, and none that is in a finished shard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.id_set import IdSet
from blipvino.batch.job_summary import NAMED


@dataclass
class RowIntake:
    """Tells what is to be done of what comes in.

    Attributes:
        finished: ids of rows that are in finished shards.
        skipped: rows that came and are finished.
        duplicates: rows that came after another one with their id.
        duplicate_ids: the first of them.
    """

    finished: IdSet
    skipped: int = 0
    duplicates: int = 0
    duplicate_ids: list[str] = field(default_factory=list)
    _seen: IdSet = field(default_factory=IdSet)

    def takes(self, name: str) -> bool:
        """Whether a row of this id, which comes now, is to be done."""
        if not self._seen.add(name):
            self.duplicates += 1
            if len(self.duplicate_ids) < NAMED and name not in self.duplicate_ids:
                self.duplicate_ids.append(name)
            return False
        if name in self.finished:
            self.skipped += 1
            return False
        return True

    def rows(self, given: Iterator[InputRow]) -> Iterator[InputRow]:
        """The rows that are to be done."""
        return (row for row in given if self.takes(row.id))
