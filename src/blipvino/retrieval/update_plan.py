"""What is to be done to an index, its folders beside its records: a plan in temporary tables, however long it is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blipvino.errors import RetrievalError
from blipvino.photos.listing import list_photos
from blipvino.retrieval.photo_records import DROP_IMAGES, PhotoRecords

_TABLES = """
CREATE TEMP TABLE scopes (root INTEGER, prefix BLOB);      -- folders that were looked into
CREATE TEMP TABLE closed (root INTEGER, prefix BLOB);      -- folders that could not be: what is in them stays
CREATE TEMP TABLE seen (
    root INTEGER, path BLOB, size INTEGER, mtime_ns INTEGER, number INTEGER, PRIMARY KEY (root, path)
) WITHOUT ROWID;
"""
_PLAN = """
CREATE TEMP TABLE gone AS SELECT root, path, image FROM photos AS p
    WHERE EXISTS (SELECT 1 FROM scopes AS s
                  WHERE s.root = p.root AND substr(p.path, 1, length(s.prefix)) = s.prefix)
    AND NOT EXISTS (SELECT 1 FROM closed AS c
                    WHERE c.root = p.root AND substr(p.path, 1, length(c.prefix)) = c.prefix)
    AND NOT EXISTS (SELECT 1 FROM seen AS s WHERE s.root = p.root AND s.path = p.path);
CREATE INDEX temp.gone_by_image ON gone (image);
CREATE TEMP TABLE todo AS SELECT s.root, s.path, s.size, s.mtime_ns, p.root IS NOT NULL AS known
    FROM seen AS s LEFT JOIN photos AS p ON p.root = s.root AND p.path = s.path
    WHERE p.root IS NULL OR p.size != s.size OR p.mtime_ns != s.mtime_ns
    OR (p.error IS NOT NULL AND (p.reader IS NOT :reader OR :again))
    ORDER BY s.number;
"""
NO_FILE = (-1, -1)
"""Size and time of what is listed and not there, such as a link that leads nowhere: it is known again, too."""
_ROWS = 1000


@dataclass(frozen=True)
class Todo:
    """A file that is new, or another one than it was.

    Attributes:
        root: id of the folder that it is below.
        path: of the file.
        below: the same below the root, as the records have it.
        known: whether there is a record of it, as it was.
    """

    root: int
    path: Path
    below: bytes
    known: bool


@dataclass(frozen=True)
class Closed:
    """A folder that could not be looked into; its photos stay in the index."""

    path: Path
    reason: str


class UpdatePlan:
    """What is to be done.

    Args:
        records: of the index, open to be written.
    """

    def __init__(self, records: PhotoRecords) -> None:
        self._records = records
        self.closed: list[Closed] = []
        records.db.executescript(_TABLES)

    def scan(self, folder: Path) -> None:
        """Look into a folder and those below it.

        Raises:
            RetrievalError: it is no folder, or not one photo is left of those that the index has of it.
        """
        if folder.is_file():
            raise RetrievalError(f"{folder}: is a file; expected a folder, such as {folder.parent}")
        if not folder.is_dir():
            raise RetrievalError(
                f"{folder}: no such folder; if it is gone for good, `blipvino index -o INDEX --forget {folder}` takes "
                "its photos out of the index"
            )
        closed_before = len(self.closed)
        root, prefix = self._root(folder.resolve())
        base = self._base(root)
        batch: list[tuple[int, bytes, int, int]] = []
        count = 0
        for listed in list_photos([str(base / os.fsdecode(prefix))]):
            if listed.error is None:
                batch.append((root, _below(base, listed.path), *file_state(listed.path)))
                count += 1
                if len(batch) == _ROWS:
                    self._see(batch)
                    batch.clear()
            elif listed.path.resolve() != folder.resolve() or not _is_listable(folder):
                self._close(root, base, listed.path, str(listed.error))
        self._see(batch)
        if not count and len(self.closed) == closed_before:
            self._refuse_emptied(folder, root, prefix)
        with self._records.lock:
            self._records.db.execute("INSERT INTO scopes VALUES (?, ?)", (root, prefix))

    def scan_known(self, folder: Path) -> None:
        """Look into a folder that the index has, if it is there: its drive may not be connected, and others are."""
        try:
            self.scan(folder)
        except RetrievalError as error:
            self.closed.append(Closed(folder, str(error)))

    def settle(self, reader: str, again: bool) -> None:
        """Compare what was seen with the records.

        Args:
            reader: what reads images here; what could not be read by another one is tried again.
            again: try what could not be read in any case.
        """
        with self._records.lock:
            for statement in _PLAN.split(";\n"):
                if statement.strip():
                    values = {"reader": reader, "again": again} if ":reader" in statement else {}
                    self._records.db.execute(statement, values)

    def count(self, table: str = "todo") -> int:
        """How many files there are to do, or "seen", or "gone"."""
        return self._records.value(f"SELECT COUNT(*) FROM {table}")

    def todo(self) -> Iterator[Todo]:
        """The files to do, as they were listed."""
        bases: dict[int, Path] = {}
        last = 0
        query = "SELECT rowid, root, path, known FROM todo WHERE rowid > ? ORDER BY rowid LIMIT ?"
        while True:
            with self._records.lock:
                rows = self._records.db.execute(query, (last, _ROWS)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            for _, root, below, known in rows:
                if root not in bases:
                    bases[root] = self._base(root)
                yield Todo(root, bases[root] / os.fsdecode(below), below, bool(known))

    def count_unchanged(self) -> int:
        """How many files are as they were, and have a vector."""
        return self._records.value(
            "SELECT COUNT(image) FROM seen AS s JOIN photos AS p USING (root, path) "
            "WHERE p.size = s.size AND p.mtime_ns = s.mtime_ns"
        )

    def take_moved(self, image: int) -> bool:
        """Whether a file of this image has gone, to the place where it is found now. Each has gone to one place."""
        with self._records.lock:
            query = "UPDATE gone SET image = NULL WHERE rowid = (SELECT rowid FROM gone WHERE image = ? LIMIT 1)"
            return self._records.db.execute(query, (image,)).rowcount > 0

    def drop_gone(self) -> int:
        """Take out what has gone, and images without photos.

        Returns:
            How many files.
        """
        with self._records.transaction() as db:
            gone = db.execute("DELETE FROM photos WHERE (root, path) IN (SELECT root, path FROM gone)").rowcount
            db.execute(DROP_IMAGES)
        return gone

    def _root(self, folder: Path) -> tuple[int, bytes]:
        """The root that a folder is, or is below, and its path there; a root of its own, where it is neither.

        Roots below a new one become part of it.
        """
        for known in self._records.roots():
            if folder == known or known in folder.parents:
                below = _below(known, folder)
                return self._id(known), b"" if below == b"." else below + b"/"
        with self._records.transaction() as db:
            db.execute("INSERT INTO roots (path) VALUES (?)", (os.fsencode(folder),))
            root = self._id(folder)
            for inner in self._records.roots():
                if folder in inner.parents:
                    inner_id = self._id(inner)
                    prefix = _below(folder, inner) + b"/"
                    db.execute(
                        "UPDATE photos SET root = ?, path = CAST(? || path AS BLOB) WHERE root = ?",
                        (root, prefix, inner_id),
                    )
                    db.execute("DELETE FROM roots WHERE id = ?", (inner_id,))
        return root, b""

    def _id(self, root: Path) -> int:
        return self._records.value("SELECT id FROM roots WHERE path = ?", os.fsencode(root))

    def _base(self, root: int) -> Path:
        with self._records.lock:
            row = self._records.db.execute("SELECT path FROM roots WHERE id = ?", (root,)).fetchone()
        return Path(os.fsdecode(row[0]))

    def _see(self, rows: Sequence[tuple[int, bytes, int, int]]) -> None:
        number = self.count("seen")
        numbered: Iterable[tuple[int, bytes, int, int, int]] = (
            (*row, number + place) for place, row in enumerate(rows, start=1)
        )
        with self._records.transaction() as db:
            db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)", numbered)

    def _close(self, root: int, base: Path, folder: Path, reason: str) -> None:
        self.closed.append(Closed(folder, reason))
        below = _below(base, folder)
        prefix = b"" if below == b"." else below + b"/"
        with self._records.lock:
            self._records.db.execute("INSERT INTO closed VALUES (?, ?)", (root, prefix))

    def _refuse_emptied(self, folder: Path, root: int, prefix: bytes) -> None:
        kept = self._records.value(
            "SELECT COUNT(*) FROM photos WHERE root = ? AND substr(path, 1, ?) = ?", root, len(prefix), prefix
        )
        if kept:
            raise RetrievalError(
                f"{folder}: not one of its {kept} photos in the index is there any more; is its drive connected? If "
                f"they are gone for good, `blipvino index -o INDEX --forget {folder}` takes them out"
            )


def _below(base: Path, path: Path) -> bytes:
    return os.fsencode(path.relative_to(base).as_posix())


def file_state(path: Path) -> tuple[int, int]:
    """Size and time of change (ns) of a file, by which it is told from what it was; `NO_FILE` of none."""
    try:
        found = path.stat()
    except OSError:
        return NO_FILE
    return found.st_size, found.st_mtime_ns


def _is_listable(folder: Path) -> bool:
    try:
        next(os.scandir(folder), None)
    except OSError:
        return False
    return True
