"""The work of an update: what is new, changed, moved or gone, and nothing else."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from blipvino.checks import integer
from blipvino.errors import RetrievalError
from blipvino.progress import Reporter
from blipvino.retrieval.embedder import ImageEmbedder
from blipvino.retrieval.photo_reader import FileReader, Looked, PhotoReader, reading_software
from blipvino.retrieval.photo_records import PhotoRecords
from blipvino.retrieval.update_plan import UpdatePlan
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE

MakeReader = Callable[[ImageProcessor, PhotoRecords], FileReader]
"""Makes what reads the files of an update, from what decodes images and what is known of files."""

_QUEUED = 2
"""Batches that wait while one is worked on."""
_LARGEST = 32
"""Files of a batch, where few of them are to be looked at."""


@dataclass
class IndexSummary:
    """What an update did.

    Attributes:
        new: files with a content that the index did not have.
        copies: new files with a content that another one has.
        moved: new files with the content of one that has gone.
        changed: files that have another content than before.
        touched: files of another time and the same content.
        deleted: files that have gone, moved ones apart.
        unchanged: files that were known as they are.
        unreadable: files that are no image that can be read, those of earlier updates included.
        photos: files that are in the index, now.
        images: different ones among them.
        errors: one a file that could not be read this time.
        closed: one a folder that could not be looked into; its photos stay in the index.
        seconds: that it took.
    """

    new: int = 0
    copies: int = 0
    moved: int = 0
    changed: int = 0
    touched: int = 0
    deleted: int = 0
    unchanged: int = 0
    unreadable: int = 0
    photos: int = 0
    images: int = 0
    errors: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def read_here(images: ImageProcessor, records: PhotoRecords) -> FileReader:
    """A reader of files in this process, which leaves it to the model to embed them."""
    return PhotoReader(images, records.image_with)


@dataclass(frozen=True)
class UpdateOptions:
    """How an index is brought up to date.

    Attributes:
        batch_size: images that are embedded together; so many are done again at the most after a crash.
        again: try what could not be read before, although it has not changed.
        reporter: shows progress.
        on_error: told of each file that cannot be read, and each folder, at once.
        reader: reads the files, and may embed them, too.
    """

    batch_size: int = DEFAULT_BATCH_SIZE
    again: bool = False
    reporter: Reporter = field(default_factory=lambda: Reporter(show=False))
    on_error: Callable[[str], None] = lambda message: None
    reader: MakeReader = read_here

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            InputError: ``batch_size`` is no number of images.
        """
        integer("batch_size", self.batch_size, 1)


def update_records(
    records: PhotoRecords, width: int, folders: Sequence[Path], model: ImageEmbedder, options: UpdateOptions
) -> IndexSummary:
    """Bring records up to date. Each batch is kept as soon as it is done; what is gone is taken out at the end.

    Args:
        records: open to be written.
        width: of a vector.
        folders: to look into, with all below them; none are all those that the records have.
        model: that made the vectors before.
        options: how.

    Raises:
        RetrievalError: a folder is not there, or not one of its photos is; the records cannot be written.
    """
    started = time.monotonic()
    summary = IndexSummary()
    plan = UpdatePlan(records)
    for folder in folders:
        plan.scan(folder)
    if not folders:
        for folder in records.roots():
            plan.scan_known(folder)
    for closed in plan.closed:
        options.on_error(closed.reason)
    plan.settle(reading_software(), options.again)
    summary.unchanged = plan.count_unchanged()
    summary.unreadable = plan.count("seen") - plan.count() - summary.unchanged
    update = _Update(records, plan, model, width, options, summary)
    with closing(update.batches()) as done, closing(_tracked(done, plan, options.reporter)) as tracked:
        for looked in tracked:
            if looked.error is not None:
                summary.unreadable += 1
                summary.errors.append(str(looked.error))
                options.on_error(str(looked.error))
    summary.deleted = plan.drop_gone() - summary.moved
    summary.closed = [closed.reason for closed in plan.closed]
    counts = records.counts()
    summary.photos, summary.images = counts.photos, counts.images
    summary.seconds = time.monotonic() - started
    return summary


def _tracked(done: Iterable[Looked], plan: UpdatePlan, reporter: Reporter) -> Generator[Looked]:
    return reporter.track(done, "Looking", plan.count())


class _Update:
    """The work of one update."""

    def __init__(
        self,
        records: PhotoRecords,
        plan: UpdatePlan,
        model: ImageEmbedder,
        width: int,
        options: UpdateOptions,
        summary: IndexSummary,
    ) -> None:
        self._records = records
        self._plan = plan
        self._model = model
        self._width = width
        self._batch_size = options.batch_size
        self._make_reader = options.reader
        self._summary = summary
        self._reader = reading_software()

    def batches(self) -> Generator[Looked]:
        """Do all that is planned, and yield each file when it is kept.

        One thread embeds a batch and keeps it, while others read the files of the next: what was embedded is kept
        before anything else is.
        """
        worker = ThreadPoolExecutor(1)
        waiting: deque[tuple[list[Looked], Future[None]]] = deque()
        reader = self._make_reader(self._model.images, self._records)
        try:
            with closing(reader.read(self._plan.todo())) as looked:
                for batch in self._cut(looked):
                    waiting.append((batch, worker.submit(self._do, batch)))
                    while len(waiting) > _QUEUED or (waiting and waiting[0][1].done()):
                        yield from _finished(waiting)
            while waiting:
                yield from _finished(waiting)
        finally:
            worker.shutdown(wait=True, cancel_futures=True)

    def _cut(self, looked: Iterator[Looked]) -> Iterator[list[Looked]]:
        """Cut into batches of so many images to embed, or of so many files."""
        batch: list[Looked] = []
        to_embed = 0
        for one in looked:
            batch.append(one)
            to_embed += one.pixels is not None
            if to_embed == self._batch_size or len(batch) >= max(_LARGEST, self._batch_size):
                yield batch
                batch, to_embed = [], 0
        if batch:
            yield batch

    def _do(self, batch: list[Looked]) -> None:
        vectors = iter(self._vectors([one for one in batch if one.is_unknown]))
        with self._records.transaction() as db:
            for one in batch:
                if one.error is not None:
                    self._keep_error(db, one)
                    continue
                image, is_new = one.image, False
                if one.is_unknown:
                    image, is_new = _keep_image(db, one.digest, next(vectors).tobytes())
                assert image is not None
                self._count(one, image, is_new)
                db.execute(
                    "INSERT OR REPLACE INTO photos (root, path, size, mtime_ns, image) VALUES (?, ?, ?, ?, ?)",
                    (one.todo.root, one.todo.below, one.size, one.mtime_ns, image),
                )

    def _vectors(self, new: Sequence[Looked]) -> list[np.ndarray]:
        """A vector of each file, float32 ``[P]``; the model makes those that came without."""
        pixels = [one.pixels for one in new if one.vector is None and one.pixels is not None]
        made = self._checked(self._model.embed_images(pixels), len(pixels)) if pixels else ()
        given = [one.vector for one in new if one.vector is not None]
        if given:
            self._checked(np.asarray(given), len(given))
        here = iter(made)
        return [next(here) if one.vector is None else one.vector for one in new]

    def _checked(self, vectors: np.ndarray, count: int) -> np.ndarray:
        if vectors.shape != (count, self._width) or not np.isfinite(vectors).all():
            raise RetrievalError(
                f"{self._model.bundle.folder}: makes vectors {list(vectors.shape)}, expected {count} of "
                f"{self._width} finite numbers; optimize it again"
            )
        return np.ascontiguousarray(vectors, np.float32)

    def _keep_error(self, db: sqlite3.Connection, one: Looked) -> None:
        """Remember what is no image; what could not even be read may be there the next time."""
        if not one.digest and one.size >= 0:
            return
        db.execute(
            "INSERT OR REPLACE INTO photos (root, path, size, mtime_ns, error, reader) VALUES (?, ?, ?, ?, ?, ?)",
            (one.todo.root, one.todo.below, one.size, one.mtime_ns, str(one.error), self._reader),
        )

    def _count(self, one: Looked, image: int, is_new: bool) -> None:
        summary = self._summary
        if one.todo.known:
            query = "SELECT image = ? FROM photos WHERE root = ? AND path = ?"
            same = not is_new and self._records.value(query, image, one.todo.root, one.todo.below)
            summary.touched += bool(same)
            summary.changed += not same
        elif is_new:
            summary.new += 1
        elif self._plan.take_moved(image):
            summary.moved += 1
        else:
            summary.copies += 1


def _keep_image(db: sqlite3.Connection, digest: bytes, vector: bytes) -> tuple[int, bool]:
    """The id of an image, and whether it is new: two files of one content may be looked at at the same time."""
    added = db.execute("INSERT OR IGNORE INTO images (digest, vector) VALUES (?, ?)", (digest, vector)).rowcount
    return db.execute("SELECT id FROM images WHERE digest = ?", (digest,)).fetchone()[0], added > 0


def _finished(waiting: deque[tuple[list[Looked], Future[None]]]) -> Iterator[Looked]:
    batch, kept = waiting.popleft()
    kept.result()
    yield from batch
