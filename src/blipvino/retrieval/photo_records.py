"""``photos.sqlite``: the photos of an index and their vectors. It is the one thing that an index cannot do without.

A *photo* is a file, of a root and a path below it; an *image* is a content, with its vector. Photos of the same content
share an image, so that a file that moves, or a copy, costs nothing. Ids of images grow, and none is used twice.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.errors import RetrievalError
from blipvino.files.placing import flush

RECORDS_FILE = "photos.sqlite"
CHUNK = 20_000
"""Vectors that are read at once."""
_APPLICATION_ID = 0x626C6970  # "blip"
_BUSY_SECONDS = 60
_PLACES = 500
"""Values in one query."""

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
CREATE TABLE roots (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);
CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, vector BLOB NOT NULL);
CREATE TABLE photos (
    root INTEGER NOT NULL REFERENCES roots (id),
    path BLOB NOT NULL,         -- below the root, as the system has it, "/" between folders
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    image INTEGER REFERENCES images (id),
    error TEXT,                 -- why there is no image
    reader TEXT,                -- what could not read it
    PRIMARY KEY (root, path)
) WITHOUT ROWID;
CREATE INDEX photos_by_image ON photos (image);
"""

DROP_IMAGES = "DELETE FROM images WHERE NOT EXISTS (SELECT 1 FROM photos WHERE image = images.id)"
"""Images without photos."""


@dataclass(frozen=True)
class Counts:
    """How much is in an index.

    Attributes:
        photos: files that have a vector.
        images: different ones among them.
        unreadable: files that have none, since they cannot be read.
    """

    photos: int
    images: int
    unreadable: int


@dataclass(frozen=True)
class Recorded:
    """A file as it was when it was indexed.

    Attributes:
        path: of the file.
        size: in bytes.
        mtime_ns: when it was changed.
        digest: of its content.
    """

    path: Path
    size: int
    mtime_ns: int
    digest: bytes


class PhotoRecords:
    """The records of an index. Its methods may be called from several threads.

    Args:
        connection: to the file, which is closed by `close`.
        file: for messages.
    """

    def __init__(self, connection: sqlite3.Connection, file: Path) -> None:
        self.db = connection
        self.lock = threading.RLock()
        self._file = file

    @classmethod
    def create(cls, folder: Path) -> None:
        """Make a file without photos.

        Raises:
            RetrievalError: it cannot be made.
        """
        file = folder / RECORDS_FILE
        with _refusals(file):
            connection = sqlite3.connect(file)
            try:
                connection.executescript(_SCHEMA)
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()

    @classmethod
    def open(cls, folder: Path, *, write: bool) -> PhotoRecords:
        """Open those of an index.

        Args:
            folder: the index.
            write: whether they are changed, by the one process that may; others go on reading what was there.

        Raises:
            RetrievalError: they are missing or damaged.
        """
        file = folder / RECORDS_FILE
        with _refusals(file):
            if not file.is_file():
                raise RetrievalError(f"{file}: is missing; make the index again")
            records = cls(_connect(file, write=write), file)
            try:
                if records.value("PRAGMA application_id") != _APPLICATION_ID:
                    raise RetrievalError(f"{file}: is not of an index of photos; make the index again")
                if write:
                    # The log takes what is written, so that readers are never held up, and a process that is killed
                    # leaves what it committed. It is flushed to disk when it is merged into the file, not each time.
                    records.db.execute("PRAGMA journal_mode = WAL")
                    records.db.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                records.close()
                raise
            return records

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.db.close()

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Make what SQLite raises in the block a `RetrievalError` that names the file."""
        with _refusals(self._file):
            yield

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that the block writes, or nothing of it."""
        with self.lock:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def value(self, query: str, *values: object) -> int:
        """The one number that a query returns; 0 for none."""
        with self.lock:
            row = self.db.execute(query, values).fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    def counts(self) -> Counts:
        """How much is in the index."""
        with self.lock:
            photos, images, unreadable = self.db.execute(
                "SELECT COUNT(image), COUNT(DISTINCT image), COUNT(*) - COUNT(image) FROM photos"
            ).fetchone()
        return Counts(photos, images, unreadable)

    def last_image(self) -> int:
        """The greatest id of an image; 0 where there is none."""
        return self.value("SELECT MAX(id) FROM images")

    def last_issued(self) -> int:
        """The greatest id that an image has ever had; 0 where there was none."""
        return self.value("SELECT seq FROM sqlite_sequence WHERE name = 'images'")

    def flush(self) -> None:
        """Wait until all that was committed is on disk: what is made of it may then be kept beside it.

        Raises:
            OSError: the disk is full, or fails.
        """
        with self.lock:
            self.db.execute("PRAGMA synchronous = FULL")
            try:
                busy = self.value("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self.db.execute("PRAGMA synchronous = NORMAL")
        log = self._file.with_name(f"{self._file.name}-wal")
        if busy and log.exists():  # a reader holds the log up; on disk it is as good
            flush([log])

    def image_with(self, digest: bytes) -> int | None:
        """The id of the image of a content, where it is known."""
        return self.value("SELECT id FROM images WHERE digest = ?", digest) or None

    def digests(self) -> bytes:
        """The digests of all images, 16 bytes each, sorted and put together."""
        with self.lock:
            return b"".join(row[0] for row in self.db.execute("SELECT digest FROM images ORDER BY digest"))

    def changes(self) -> int:
        """A number that is another one after another process has changed the records."""
        return self.value("PRAGMA data_version")

    def image_ids(self, last: int) -> Iterator[np.ndarray]:
        """Ids of images up to one, in their order, by the thousand: int64 ``[n]``."""
        after = 0
        query = "SELECT id FROM images WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        while True:
            with self.lock:
                rows = self.db.execute(query, (after, last, CHUNK)).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield np.array([row[0] for row in rows], np.int64)

    def vectors(self, after: int = 0) -> Iterator[tuple[np.ndarray, FloatArray]]:
        """Images in the order of their ids, by the thousand.

        Args:
            after: the id that they come after.

        Yields:
            Ids, int64 ``[n]``, and vectors, float32 ``[n, P]``.
        """
        query = "SELECT id, vector FROM images WHERE id > ? ORDER BY id LIMIT ?"
        while True:
            with self.lock:
                rows = self.db.execute(query, (after, CHUNK)).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield np.array([row[0] for row in rows], np.int64), _matrix([row[1] for row in rows])

    def vectors_of(self, images: Sequence[int]) -> tuple[np.ndarray, FloatArray]:
        """Vectors of some images, those among them that there still are.

        Returns:
            Ids, int64 ``[n]``, and vectors, float32 ``[n, P]``.
        """
        rows = self._of("SELECT id, vector FROM images WHERE id IN ({})", images)
        return np.array([row[0] for row in rows], np.int64), _matrix([row[1] for row in rows])

    def photos_of(self, images: Sequence[int]) -> dict[int, list[Path]]:
        """The files of some images, by id; an image whose files have gone has none."""
        return {image: [file.path for file in files] for image, files in self.recorded_of(images).items()}

    def recorded_of(self, images: Sequence[int]) -> dict[int, list[Recorded]]:
        """The same, with what they were when they were indexed."""
        query = (
            "SELECT image, roots.path, photos.path, size, mtime_ns, digest FROM photos "
            "JOIN roots ON roots.id = root JOIN images ON images.id = image WHERE image IN ({}) "
            "ORDER BY root, photos.path"
        )
        found: dict[int, list[Recorded]] = {}
        for image, root, path, *state in self._of(query, images):
            found.setdefault(image, []).append(Recorded(Path(os.fsdecode(root)) / os.fsdecode(path), *state))
        return found

    def roots(self) -> list[Path]:
        """The folders that are in the index."""
        with self.lock:
            rows = self.db.execute("SELECT path FROM roots ORDER BY id").fetchall()
        return [Path(os.fsdecode(row[0])) for row in rows]

    def has_some_of(self, folder: Path) -> bool:
        """Whether a folder is in the index, in whole or in part."""
        return any(folder == root or folder in root.parents or root in folder.parents for root in self.roots())

    def forget(self, folder: Path) -> int:
        """Take out the photos of a folder and those below it.

        Returns:
            How many files.
        """
        gone = 0
        with self.transaction() as db:
            for root in self.roots():
                number = self.value("SELECT id FROM roots WHERE path = ?", os.fsencode(root))
                if folder == root or folder in root.parents:
                    gone += db.execute("DELETE FROM photos WHERE root = ?", (number,)).rowcount
                    db.execute("DELETE FROM roots WHERE id = ?", (number,))
                elif root in folder.parents:
                    prefix = os.fsencode(folder.relative_to(root).as_posix()) + b"/"
                    below = "DELETE FROM photos WHERE root = ? AND substr(path, 1, ?) = ?"
                    gone += db.execute(below, (number, len(prefix), prefix)).rowcount
            db.execute(DROP_IMAGES)
        return gone

    def _of(self, query: str, images: Sequence[int]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with self.lock:
            for first in range(0, len(images), _PLACES):
                some = [int(image) for image in images[first : first + _PLACES]]
                rows += self.db.execute(query.format(",".join("?" * len(some))), some).fetchall()
        return rows


def _connect(file: Path, *, write: bool) -> sqlite3.Connection:
    uri = file.resolve().as_uri()
    if write:
        return _opened(f"{uri}?mode=rw")
    try:
        connection = _opened(f"{uri}?mode=ro")
        try:
            connection.execute("SELECT 1 FROM roots LIMIT 1").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection
    except sqlite3.OperationalError:
        # SQLite puts its log's index beside the file even to read it. Where nothing can be written, nobody writes.
        if os.access(file.parent, os.W_OK):
            raise
    return _opened(f"{uri}?mode=ro&immutable=1")


def _opened(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _matrix(vectors: Sequence[bytes]) -> FloatArray:
    return np.frombuffer(b"".join(vectors), np.float32).reshape(len(vectors), -1 if vectors else 0)


@contextmanager
def _refusals(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # a full disk, a lock that is held, a folder that cannot be written
        raise RetrievalError(f"{file}: cannot be used ({error}); check the disk, and who else uses it") from error
    except sqlite3.DatabaseError as error:
        raise RetrievalError(f"{file}: is damaged ({error}); make the index again") from error
