"""Which rows of a source a run is about: a share of them, a sample, the first so many."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import xxhash

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.row_source import Partition, Source
from blipvino.errors import InputError

_DIGITS = 30
"""Of a number that is given: more than any input has rows, and few enough for the name of a folder."""


@dataclass(frozen=True)
class Share:
    """One of several shares of a source, for one of several machines.

    Attributes:
        number: from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: there is no such share.
        """
        if not 1 <= self.number <= self.of:
            raise InputError(f"--shard is {self.number}/{self.of}, expected i/n with i from 1 to n")

    @classmethod
    def parsed(cls, text: str) -> Share:
        """A share from ``i/n``.

        Raises:
            InputError: it is none.
        """
        number, _, of = text.partition("/")
        if not (_is_count(number) and _is_count(of)):
            raise InputError(f"--shard is {text}, expected i/n, such as 3/16")
        return cls(int(number), int(of))

    def has(self, name: str) -> bool:
        """Whether a row or partition of this name is in it: always in the same one, whatever else there is."""
        return xxhash.xxh3_64_intdigest(name.encode()) % self.of == self.number - 1

    @property
    def folder(self) -> str:
        """The name of the folder that its shards are in."""
        return f"{self.number:0{len(str(self.of))}}-of-{self.of}"


@dataclass(frozen=True)
class Sample:
    """Rows that are drawn. A larger sample of the same seed has those of a smaller one.

    Attributes:
        size: rows.
        seed: of the drawing.
    """

    size: int
    seed: int = 0

    @classmethod
    def parsed(cls, text: str) -> Sample:
        """A sample from ``N`` or ``N:seed``.

        Raises:
            InputError: it is none.
        """
        size, colon, seed = text.partition(":")
        if not _is_count(size) or int(size) < 1 or (colon and not _is_count(seed)):
            raise InputError(f"--sample is {text}, expected N or N:seed, such as 1000:7")
        return cls(int(size), int(seed or 0))

    def rank(self, name: str) -> int:
        """The rows with the smallest are drawn."""
        return int(xxhash.xxh3_128_intdigest(f"{self.seed} {name}".encode()))

    def largest_rank(self, source: Source) -> int:
        """The rank of the last row that is drawn; it takes a look at all ids, and keeps as many as are drawn.

        Raises:
            DataError: the source cannot be read.
        """
        drawn: list[int] = []  # the smallest, negative: the largest of them first
        for partition in source.partitions():
            for name in partition.ids():
                rank = self.rank(name)
                if len(drawn) < self.size:
                    heapq.heappush(drawn, -rank)
                elif rank < -drawn[0]:
                    heapq.heapreplace(drawn, -rank)
        return -drawn[0] if drawn else 0


@dataclass(frozen=True)
class RowSelection:
    """Rows of a source; without anything else, all.

    Attributes:
        share: of all that are drawn.
        sample: drawn of the whole source.
        limit: the first so many of the share.
    """

    share: Share | None = None
    sample: Sample | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        """Check the limit.

        Raises:
            InputError: it is no number of rows.
        """
        if self.limit is not None and self.limit < 1:
            raise InputError(f"--limit is {self.limit}, expected at least 1")

    def rows(self, source: Source) -> Iterator[InputRow]:
        """The rows, in the source's order.

        Raises:
            DataError: the source cannot be read.
        """
        found = (row for partition, has in self.stretches(source) for row in partition.rows() if has(row.id))
        return islice(found, self.limit)

    def ids(self, source: Source) -> Iterator[str]:
        """Their ids alone, by reading as little as possible.

        Raises:
            DataError: as `rows`.
        """
        found = (name for partition, has in self.stretches(source) for name in partition.ids() if has(name))
        return islice(found, self.limit)

    def stretches(self, source: Source) -> Iterator[tuple[Partition, RowTest]]:
        """The partitions that may have rows of it, and what tells these by their ids; the limit is left to the caller.

        Raises:
            DataError: the source cannot be listed.
        """
        largest = None if self.sample is None else self.sample.largest_rank(source)
        for partition in source.partitions():
            share = self.share
            if share is not None and partition.key is not None:
                if not share.has(partition.key):
                    continue
                share = None
            yield partition, RowTest(share, self.sample, largest)


@dataclass(frozen=True)
class RowTest:
    """Tells whether a row is selected. It can be pickled.

    Attributes:
        share: that the row's id is in; None is all.
        sample: that it was drawn for; None likewise.
        largest: rank of the last row that was drawn.
    """

    share: Share | None
    sample: Sample | None
    largest: int | None

    def __call__(self, name: str) -> bool:
        """Whether the row of this id is."""
        if self.share is not None and not self.share.has(name):
            return False
        return self.sample is None or self.largest is None or self.sample.rank(name) <= self.largest


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) <= _DIGITS
