"""What a job reads: a source, cut into partitions that can be read apart from one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from blipvino.batch.batch_rows import InputRow


class Partition(Protocol):
    """A stretch of a source. It can be pickled, and read again and again."""

    @property
    def key(self) -> str | None:
        """Decides, with ``--shard``, which share of the job reads this partition, where its rows cannot be passed over
        without being read, such as those of a tar file: a name that never changes. None lets each row's id decide.
        """
        ...

    def rows(self) -> Iterator[InputRow]:
        """Its rows, in a fixed order, as they are asked for. A record without an image is a row with an ``error``.

        Raises:
            DataError: the partition itself cannot be read.
        """
        ...

    def ids(self) -> Iterator[str]:
        """The ids of the rows, in the same order, by reading as little as possible.

        Raises:
            DataError: as `rows`.
        """
        ...


class Source(Protocol):
    """All images of a job. It can be pickled."""

    @property
    def name(self) -> str:
        """What it is, the same from run to run: another one is another job's."""
        ...

    @property
    def lists_quickly(self) -> bool:
        """Whether the ids of its rows are found without reading images."""
        ...

    def partitions(self) -> Iterator[Partition]:
        """Its partitions, in a fixed order, found as they are asked for.

        Raises:
            DataError: the source is not there, or cannot be listed.
        """
        ...
