"""`PhotoIndex`: photos in folders, each with a vector, to find the nearest ones in."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.checks import folder_path, integer
from blipvino.retrieval.index_manifest import IndexManifest
from blipvino.retrieval.neighbours import Neighbours, open_neighbours
from blipvino.retrieval.photo_records import Counts, PhotoRecords

_OVERSAMPLING = 4
"""Candidates from the graph of neighbours for each image that is asked for; of these the nearest are taken exactly."""
_LEAST_CANDIDATES = 128


class PhotoIndex:
    """An index on disk, opened to be searched. Its methods may be called from several threads.

    Another process may bring it up to date meanwhile; each search sees what was there when it began.

    Args:
        folder: the index.

    Raises:
        RetrievalError: there is none, or one that is damaged or newer.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder_path("index", folder)
        self.manifest = IndexManifest.read(self.folder)
        self.records = PhotoRecords.open(self.folder, write=False)
        self._neighbours: Neighbours | None = None
        self._ids = np.zeros(0, np.int64)
        self._vectors = np.zeros((0, self.manifest.width), np.float32)
        self._seen: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        """The index itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close its files."""
        self.records.close()

    def counts(self) -> Counts:
        """How much is in it.

        Raises:
            RetrievalError: it cannot be read.
        """
        with self.records.refusals():
            return self.records.counts()

    def roots(self) -> list[Path]:
        """The folders whose photos are in it."""
        with self.records.refusals():
            return self.records.roots()

    def nearest(self, vector: FloatArray, count: int) -> list[tuple[int, float, list[Path]]]:
        """The images nearest to a vector.

        Args:
            vector: float32 ``[P]``, of length 1.
            count: how many.

        Returns:
            Of each its id, cosine and files, nearest first; images whose files have gone are left out.

        Raises:
            RetrievalError: the index cannot be read.
        """
        integer("count", count, 1)
        with self.records.refusals(), self.records.lock:
            self._refresh()
            asked = count
            while True:
                ids, scores = self._nearest(np.ascontiguousarray(vector, np.float32), asked)
                files = self.records.photos_of(ids.tolist())
                found = [
                    (image, float(score), files[image])
                    for image, score in zip(ids.tolist(), scores.tolist(), strict=True)
                    if image in files
                ]
                if len(found) >= count or len(ids) < asked:
                    return found[:count]
                asked *= 2

    def _nearest(self, vector: FloatArray, count: int) -> tuple[np.ndarray, FloatArray]:
        """Ids and cosines of the nearest images, nearest first."""
        ids, vectors = self._ids, self._vectors
        if self._neighbours is not None:
            likely = self._neighbours.nearest(vector, max(_LEAST_CANDIDATES, _OVERSAMPLING * count))
            likely_ids, likely_vectors = self.records.vectors_of(likely.tolist())
            if len(likely_ids):
                ids, vectors = np.concatenate([ids, likely_ids]), np.concatenate([vectors, likely_vectors])
        scores = vectors @ vector
        best = np.argpartition(-scores, count - 1)[:count] if count < len(scores) else np.arange(len(scores))
        best = best[np.lexsort((ids[best], -scores[best]))]
        return ids[best], scores[best]

    def _refresh(self) -> None:
        """Read what another process has written since: vectors that the graph of neighbours does not have."""
        state = (self.records.changes(), self.records.last_image())
        if state == self._seen:
            return
        self._neighbours = open_neighbours(self.folder, self.records, self.manifest.width)
        after = 0 if self._neighbours is None else self._neighbours.last_image
        chunks = list(self.records.vectors(after))
        self._ids = np.concatenate([np.zeros(0, np.int64), *(ids for ids, _ in chunks)])
        none = np.zeros((0, self.manifest.width), np.float32)
        self._vectors = np.concatenate([none, *(vectors for _, vectors in chunks)])
        self._seen = state
