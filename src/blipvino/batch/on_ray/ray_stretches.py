"""What a job on a cluster still has to look at: its source in stretches, listed once by the process that starts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.id_set import IdSet
from blipvino.batch.job_summary import NAMED
from blipvino.batch.row_selection import RowSelection
from blipvino.batch.row_source import Partition, Source


@dataclass(frozen=True)
class Stretch:
    """A partition of a source, and which of its rows the job takes. It can be pickled.

    Attributes:
        partition: that has them.
        has: tells by its id whether a row is selected.
        base: folder that relative paths are below, where a node has it.
        skipped: ids that another stretch has before.
        most: rows that are selected at the most; None is all.
    """

    partition: Partition
    has: Callable[[str], bool]
    base: Path
    skipped: frozenset[str] = frozenset()
    most: int | None = None

    def rows(self) -> Iterator[InputRow]:
        """The rows, each id once.

        Raises:
            DataError: the partition cannot be read.
        """
        stand_at(self.base)
        seen, selected = set(self.skipped), 0
        for row in self.partition.rows():
            if not self.has(row.id):
                continue
            if selected == self.most:
                return
            selected += 1
            if row.id not in seen:
                seen.add(row.id)
                yield row


@dataclass
class Listing:
    """Stretches as they are listed, and what was seen of them.

    Attributes:
        stretches: each as it was put away.
        rows: that are selected, duplicates left out; None where images would have to be read to know.
        duplicates: rows that come after another one with their id, as far as that is known.
        duplicate_ids: some of them.
    """

    stretches: list[Any] = field(default_factory=list)
    rows: int | None = 0
    duplicates: int = 0
    duplicate_ids: list[str] = field(default_factory=list)


def list_stretches(source: Source, selection: RowSelection, put: Callable[[Stretch], Any]) -> Listing:
    """List a source.

    Where its ids are found without reading images, duplicates are found, too, and the rows counted.

    Args:
        source: of the job.
        selection: of its rows.
        put: puts a stretch away, so that not all are held: as `ray.put`.

    Raises:
        DataError: the source cannot be listed.
    """
    listing, base = Listing(), Path.cwd()
    if not source.lists_quickly and selection.limit is None:
        listing.rows = None
        listing.stretches = [put(Stretch(each, has, base)) for each, has in selection.stretches(source)]
        return listing
    seen, left = IdSet(), selection.limit
    for partition, has in selection.stretches(source):
        selected = [name for name in partition.ids() if has(name)][:left]
        new = [name for name in selected if seen.add(name)]
        if len(new) < len(selected):
            _count_duplicates(listing, selected, new)
        skipped = frozenset(selected) - frozenset(new)
        listing.stretches.append(put(Stretch(partition, has, base, skipped, None if left is None else len(selected))))
        assert listing.rows is not None
        listing.rows += len(new)
        if left is not None:
            left -= len(selected)
            if left == 0:
                break
    return listing


def stand_at(folder: Path) -> None:
    """Have relative paths mean what they mean where the job was started, if this node sees that folder."""
    if folder.is_dir() and Path.cwd() != folder:
        os.chdir(folder)


def _count_duplicates(listing: Listing, selected: list[str], new: list[str]) -> None:
    listing.duplicates += len(selected) - len(new)
    first = set(new)
    for name in selected:
        if name in first:
            first.discard(name)
        elif len(listing.duplicate_ids) < NAMED and name not in listing.duplicate_ids:
            listing.duplicate_ids.append(name)
