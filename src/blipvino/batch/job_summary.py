"""What a job has done, as its summary file tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

NAMED = 10
"""Ids and errors that are named; all are counted."""


@dataclass(frozen=True)
class ShardSummary:
    """A finished shard.

    Attributes:
        name: of its file.
        rows: in it.
        bytes: of it.
    """

    name: str
    rows: int
    bytes: int


@dataclass
class JobSummary:
    """What a job has done, in all its runs and in this one.

    Attributes:
        input: the source.
        output: where the shards are.
        tasks: that were done.
        model: fingerprint of all that decided what was made.
        rows: in the shards.
        errors: of them that have an error.
        new_rows: of this run.
        new_errors: of this run.
        duplicates: rows of the input that this run passed over, since another one has their id.
        duplicate_ids: some of them.
        seconds: that this run took, from the first row to the last.
        rows_per_second: of this run.
        read_ms: mean of this run's rows.
        compute_ms: likewise; several are worked on at a time.
        host: that it ran on.
        versions: of what decides speed.
        shards: all that there are.
    """

    input: str
    output: str
    tasks: tuple[str, ...]
    model: str
    rows: int = 0
    errors: int = 0
    new_rows: int = 0
    new_errors: int = 0
    duplicates: int = 0
    duplicate_ids: list[str] = field(default_factory=list)
    seconds: float = 0.0
    rows_per_second: float | None = None
    read_ms: float | None = None
    compute_ms: float | None = None
    host: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    shards: list[ShardSummary] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


@dataclass(frozen=True)
class JobForecast:
    """What a run would do.

    Attributes:
        input: the source.
        output: where the shards are, or will be.
        is_new: whether the job would be begun.
        selected: rows of the input that the run is about.
        finished: of them that are in shards already.
        to_do: of them that are left.
        duplicates: of them that have another one's id.
        duplicate_ids: some.
        shards: that would be written.
        shards_there: that are finished.
    """

    input: str
    output: str
    is_new: bool
    selected: int
    finished: int
    to_do: int
    duplicates: int
    duplicate_ids: list[str]
    shards: int
    shards_there: int

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)
