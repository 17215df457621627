"""A job's source, as Ray Data reads it: a task a stretch of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import ray
from ray.data import Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from blipvino.batch.on_ray.ray_rows import listed_table
from blipvino.batch.on_ray.ray_stretches import Stretch

MOST_TASKS = 10_000
"""Tasks of a job: each is known to the driver, and Ray's own work on one is some milliseconds."""
_ROWS = 64
"""Rows that are handed on together."""


class RowDatasource(Datasource):
    """Reads the rows of stretches, not yet their images.

    Args:
        stretches: a reference to each, in the object store: the driver need not hold what they list.
    """

    def __init__(self, stretches: Sequence[Any]) -> None:
        super().__init__()
        self._stretches = stretches
        self._together = max(1, -(-len(stretches) // MOST_TASKS))

    @property
    def task_count(self) -> int:
        """Tasks: one a stretch, or one to several of them where there are very many."""
        return max(1, -(-len(self._stretches) // self._together))

    def get_name(self) -> str:
        """What Ray shows."""
        return "Rows"

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: object = None
    ) -> list[ReadTask]:
        """The tasks; ``parallelism`` is Ray's guess."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)
        starts = range(0, len(self._stretches), self._together)
        cut = [self._stretches[first : first + self._together] for first in starts]
        return [ReadTask(_reading(each), unknown, per_task_row_limit=per_task_row_limit) for each in cut]


def _reading(references: Sequence[Any]) -> Callable[[], Iterator[pa.Table]]:
    """A function, with a name as Ray wants it, that gives tables of some rows at a time."""

    def read_stretches() -> Iterator[pa.Table]:
        for reference in references:
            stretch: Stretch = ray.get(reference)
            rows = stretch.rows()
            while some := list(islice(rows, _ROWS)):
                yield listed_table(some)

    return read_stretches
