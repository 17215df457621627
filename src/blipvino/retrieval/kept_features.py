"""``features.sqlite``: what the model saw in the photos that searches looked at last, so that later ones need not look.

It is a cache within a limit of bytes: whatever is wrong with it, or lost of it, costs time alone.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from blipvino.runtime.features import ImageFeatures

FEATURES_FILE = "features.sqlite"
DEFAULT_LIMIT_BYTES = 10**9
"""Of BLIP-base, an image takes 0.9 MB: some thousand images."""
_BUSY_SECONDS = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS features (
    image INTEGER NOT NULL, model TEXT NOT NULL, used REAL NOT NULL, positions INTEGER NOT NULL, bytes INTEGER NOT NULL,
    image_embeds BLOB NOT NULL, PRIMARY KEY (image, model)
);
CREATE INDEX IF NOT EXISTS features_by_use ON features (used, bytes);
"""

logger = logging.getLogger(__name__)


class KeptFeatures:
    """Features of images of an index, in 16 bits.

    Args:
        index: whose folder they are kept in.
        model: fingerprint of the bundle that makes them.
        limit: bytes that are kept; 0 keeps and reads none.
    """

    def __init__(self, index: Path, model: str, limit: int = DEFAULT_LIMIT_BYTES) -> None:
        self._file = index / FEATURES_FILE
        self._model = model
        self._limit = limit

    def get(self, images: Sequence[int]) -> dict[int, ImageFeatures]:
        """The features of those images, by id, that are kept."""
        if not self._limit or not images or not self._file.is_file():
            return {}
        places = ",".join("?" * len(images))
        query = f"SELECT image, positions, bytes, image_embeds FROM features WHERE model = ? AND image IN ({places})"
        try:
            connection = sqlite3.connect(self._file, timeout=_BUSY_SECONDS)
            try:
                rows = connection.execute(query, (self._model, *images)).fetchall()
            finally:
                connection.close()
        except sqlite3.Error as error:
            logger.info("%s: is not used (%s)", self._file, error)
            return {}
        return {
            image: self._unpacked(positions, packed)
            for image, positions, size, packed in rows
            if _is_whole(positions, size, packed)
        }

    def put(self, made: Mapping[int, ImageFeatures], used: Sequence[int]) -> None:
        """Keep features, and those that were used; others go, longest unused first, as far as the limit needs it."""
        if not self._limit or not (made or used):
            return
        now = time.time()
        try:
            connection = sqlite3.connect(self._file, timeout=_BUSY_SECONDS)
            try:
                connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")
                with connection:
                    connection.executemany(
                        "INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?, ?, ?)",
                        (self._row(image, features, now) for image, features in made.items()),
                    )
                    connection.executemany(
                        "UPDATE features SET used = ? WHERE image = ? AND model = ?",
                        ((now, image, self._model) for image in used),
                    )
                    connection.execute(
                        "DELETE FROM features WHERE rowid IN (SELECT id FROM (SELECT rowid AS id, "
                        "SUM(bytes) OVER (ORDER BY used DESC, rowid) AS held FROM features) WHERE held > ?)",
                        (self._limit,),
                    )
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:  # read-only, full, in use, damaged
            logger.info("%s: keeps nothing (%s)", self._file, error)
            if not isinstance(error, sqlite3.OperationalError):
                self._file.unlink(missing_ok=True)

    def rounded(self, features: ImageFeatures) -> ImageFeatures:
        """Features as they are when they have been kept: a search gives the same again."""
        return self._unpacked(len(features.image_embeds), _packed(features)) if self._limit else features

    def _row(self, image: int, features: ImageFeatures, now: float) -> tuple[int, str, float, int, int, bytes]:
        packed = _packed(features)
        return image, self._model, now, len(features.image_embeds), len(packed), packed

    def _unpacked(self, positions: int, packed: bytes) -> ImageFeatures:
        embeds = np.frombuffer(packed, np.float16).reshape(positions, -1).astype(np.float32)
        return ImageFeatures(embeds, self._model)


def _packed(features: ImageFeatures) -> bytes:
    return features.image_embeds.astype(np.float16).tobytes()


def _is_whole(positions: object, size: object, packed: object) -> bool:
    """Whether a row is as it was written, as far as its numbers tell: SQLite keeps anything in any column."""
    if not (isinstance(positions, int) and isinstance(packed, bytes) and positions > 0):
        return False
    return 0 < len(packed) == size and len(packed) % (positions * np.dtype(np.float16).itemsize) == 0
