"""Counting a job's rows while they are done."""

from __future__ import annotations

import threading

from blipvino.batch.job_progress import JobProgress
from blipvino.batch.row_selection import RowSelection
from blipvino.batch.row_source import Source
from blipvino.errors import BlipvinoError


class RowCounting:
    """Counts in a thread of its own while the block runs, if the count is shown and takes no reading of images.

    Args:
        selection: of the rows.
        source: that they are in.
        progress: is told how many there are.
    """

    def __init__(self, selection: RowSelection, source: Source, progress: JobProgress) -> None:
        self._selection = selection
        self._source = source
        self._progress = progress
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._count, name="blipvino-count", daemon=True)

    def __enter__(self) -> None:
        """Begin."""
        if self._source.lists_quickly and self._progress.shows:
            self._thread.start()

    def __exit__(self, *ended: object) -> None:
        """Count no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _count(self) -> None:
        count = 0
        try:
            for _ in self._selection.ids(self._source):
                count += 1
                if self._stopped.is_set():
                    return
        except BlipvinoError:  # whoever reads the rows says so
            return
        self._progress.expect(count)
