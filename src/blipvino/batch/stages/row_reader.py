"""Reading, decoding and resizing the images of rows before their turn."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.stages.row_at_work import ReadImage
from blipvino.errors import ImageError
from blipvino.runtime.inputs.images import LEAST_SCALE, ImageProcessor, ImageSource, load_image
from blipvino.runtime.scheduling.jobs import SharedImage

_FETCHERS = 16
"""Threads that fetch files by URL, which they mostly wait for."""

Read = ReadImage | ImageError


class RowReader(Iterator[tuple[InputRow, Read]]):
    """Reads rows ahead and gives each with its image, or with the error of it, in order.

    A file that rows name one after the other is read once.

    Args:
        rows: taken no further ahead than this.
        texts: of the model of texts, None where there is none.
        embeddings: of the model of embeddings, likewise.
        ahead: rows that are read before they are asked for.
    """

    def __init__(
        self,
        rows: Iterator[InputRow],
        texts: ImageProcessor | None,
        embeddings: ImageProcessor | None,
        ahead: int,
    ) -> None:
        self._rows = rows
        self._texts = texts
        self._embeddings = embeddings
        self._ahead = ahead
        self._decoding = ThreadPoolExecutor(os.cpu_count(), "blipvino-read")
        self._fetching = ThreadPoolExecutor(_FETCHERS, "blipvino-fetch")
        self._reading: deque[tuple[InputRow, Future[Read]]] = deque()
        self._last: tuple[str, Future[Read]] | None = None

    def __next__(self) -> tuple[InputRow, Read]:
        """The next row.

        Raises:
            DataError: as `InputRow.source`; or as the rows.
        """
        while len(self._reading) < self._ahead:
            row = next(self._rows, None)
            if row is None:
                break
            self._reading.append((row, self._begun(row)))
        if not self._reading:
            raise StopIteration
        row, reading = self._reading.popleft()
        return row, reading.result()

    def close(self) -> None:
        """Read no more."""
        for pool in (self._fetching, self._decoding):
            pool.shutdown(wait=True, cancel_futures=True)

    def _begun(self, row: InputRow) -> Future[Read]:
        if self._last is not None and self._last[0] == row.location:
            return self._last[1]
        if row.error is not None or row.image is None:
            refused: Future[Read] = Future()
            refused.set_result(ImageError(row.error or f"{row.id}: has no image"))
            return refused
        is_remote = row.location is not None and row.path is None
        reading = self._decoding.submit(self._read, row, self._fetching.submit(row.source) if is_remote else None)
        self._last = None if row.location is None else (row.location, reading)
        return reading

    def _read(self, row: InputRow, fetched: Future[Path | bytes] | None) -> Read:
        began = time.perf_counter()
        try:
            return self._resized(row.source() if fetched is None else fetched.result(), began)
        except ImageError as error:
            name, _, problem = str(error).partition(": ")
            if row.path is None:  # bytes have no name but the row's
                name = row.location or row.id
            return ImageError(f"{name}: {problem}")  # without its traceback, which holds on to what was read

    def _resized(self, source: ImageSource, began: float) -> ReadImage:
        processors = [each for each in (self._texts, self._embeddings) if each is not None]
        if len(processors) > 1:  # decoded once
            source = load_image(source, least=LEAST_SCALE * max(each.config.size for each in processors))
        texts = None if self._texts is None else SharedImage(self._texts.pixels([source])[0])
        pixels = None if self._embeddings is None else self._embeddings.pixels([source])[0]
        return ReadImage(texts, pixels, 1000 * (time.perf_counter() - began))
