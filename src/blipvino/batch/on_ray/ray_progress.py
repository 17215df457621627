"""How far a job on a cluster is, by the record of its finished shards."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from blipvino.batch.job_progress import JobProgress
from blipvino.batch.on_ray.ray_checkpoint import ShardPlace

_EVERY_SECONDS = 3.0


class RecordWatch:
    """Tells of rows as their shards are finished, while the block runs, in a thread of its own.

    Args:
        place: of shards and record.
        progress: is told.
        before: names of records that were there before.
    """

    def __init__(self, place: ShardPlace, progress: JobProgress, before: set[str]) -> None:
        self._place = place
        self._progress = progress
        self._told = set(before)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="blipvino-watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        if self._progress.shows:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell of the last ones, and end."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
            self._look()

    def _watch(self) -> None:
        while not self._stopped.wait(_EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            new = self._place.recorded() - self._told
            rows = sum(self._place.recorded_rows(name) for name in new)
        except OSError:  # the store does not answer just now; the next look may tell more
            return
        self._told |= new
        self._progress.advance_by(rows)
