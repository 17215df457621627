"""An index of photos brought up to date on a cluster: nodes read and embed the files, one process keeps the vectors."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from blipvino.arrays import FloatArray
from blipvino.batch.on_ray.ray_bundles import SentBundle
from blipvino.batch.on_ray.ray_failures import named_failures
from blipvino.batch.on_ray.ray_session import RayCluster
from blipvino.batch.on_ray.ray_settings import READ_BYTES, data_settings, engine_on, on_this_node
from blipvino.bundle.bundle import Bundle
from blipvino.errors import ImageError, InputError
from blipvino.retrieval.embedder import ImageEmbedder
from blipvino.retrieval.photo_reader import FileReader, Looked, PhotoReader
from blipvino.retrieval.photo_records import PhotoRecords
from blipvino.retrieval.update_plan import Todo
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.inputs.images import ImageProcessor, ImageSource
from blipvino.runtime.reading import read_config, read_preprocessor
from blipvino.runtime.retriever import BlipRetriever

_FILES = 256
"""Files of a task."""
_DIGEST_BYTES = 16
_KNOWN = -1
"""Stands for the id of an image whose content is known; the process that keeps the records finds the id."""
_TODO = pa.schema([("root", pa.int64()), ("path", pa.binary()), ("below", pa.binary()), ("known", pa.bool_())])
_STATE = [("size", pa.int64()), ("mtime_ns", pa.int64()), ("digest", pa.binary()), ("error", pa.string())]
_LOOKED = pa.schema([*_TODO, *(pa.field(*each) for each in _STATE), pa.field("pixels", pa.large_binary())])
_EMBEDDED = pa.schema([*_TODO, *(pa.field(*each) for each in _STATE), pa.field("vector", pa.binary())])


@dataclass(frozen=True)
class RemoteEmbedder:
    """A bundle for retrieval that is loaded on the nodes of a cluster, and not here.

    Attributes:
        bundle: opened.
        images: its images to pixels.
        config: its sizes.
    """

    bundle: Bundle
    images: ImageProcessor
    config: Any

    @classmethod
    def of(cls, bundle: Bundle) -> RemoteEmbedder:
        """That of a bundle.

        Raises:
            BundleError: the bundle is damaged.
            InputError: it is not for retrieval.
        """
        BlipRetriever._check_kind(bundle.manifest.architecture, bundle.folder)
        config = read_config(bundle)
        return cls(bundle, ImageProcessor(read_preprocessor(bundle, config)), config)

    def embed_images(self, images: Sequence[ImageSource]) -> FloatArray:
        """Refuse: who reads files on the nodes embeds them there.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.bundle.folder}: is loaded on the nodes alone; {len(images)} images came without vectors"
        )


@dataclass(frozen=True)
class RayReading:
    """Makes readers that read and embed on a cluster; give it as `UpdateOptions.reader`.

    Attributes:
        model: whose vectors are kept.
        engine: how its graphs are compiled.
        cluster: that is connected to.
        batch_size: images that are embedded together.
    """

    model: ImageEmbedder
    engine: EngineOptions
    cluster: RayCluster
    batch_size: int

    def __call__(self, images: ImageProcessor, records: PhotoRecords) -> FileReader:
        """A reader for an index."""
        return _RayPhotoReader(self, images, records)


class _RayPhotoReader:
    """Reads and embeds files on the nodes of a cluster. What is known by its content is not embedded again."""

    def __init__(self, job: RayReading, images: ImageProcessor, records: PhotoRecords) -> None:
        self._job = job
        self._images = images
        self._records = records

    def read(self, files: Iterator[Todo]) -> Generator[Looked]:
        """Yield all files, read, in the order in which they are done."""
        job = self._job
        tasks = list(_cut(files))
        if not tasks:
            return
        known = job.cluster.put(np.frombuffer(self._records.digests(), np.uint8))
        with data_settings(), named_failures():
            rows = (
                ray.data.read_datasource(_TodoDatasource(tasks), override_num_blocks=len(tasks))
                .map_batches(
                    _look_at,
                    batch_size=_FILES,
                    batch_format="pyarrow",
                    num_cpus=1,
                    memory=READ_BYTES,
                    fn_kwargs={"images": self._images, "known": known},
                )
                .map_batches(
                    _EmbeddingEngine,
                    batch_size=None,
                    batch_format="pyarrow",
                    num_cpus=job.cluster.engine_cpus,
                    compute=ActorPoolStrategy(min_size=job.cluster.engines[0], max_size=job.cluster.engines[1]),
                    fn_constructor_args=(
                        SentBundle.of(job.model.bundle, job.cluster.send),
                        engine_on(job.cluster, job.engine),
                        job.batch_size,
                    ),
                )
            )
            for table in rows.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from self._looked(table)

    def _looked(self, table: pa.Table) -> Iterator[Looked]:
        for row in table.to_pylist():
            todo = Todo(row["root"], Path(os.fsdecode(row["path"])), row["below"], row["known"])
            state = (row["size"], row["mtime_ns"], row["digest"])
            if row["error"] is not None:
                yield Looked(todo, *state, error=ImageError(row["error"]))
            elif row["vector"] is None:
                yield Looked(todo, *state, image=self._records.image_with(row["digest"]))
            else:
                yield Looked(todo, *state, vector=np.frombuffer(row["vector"], np.float32))


class _TodoDatasource(Datasource):
    """Tells tasks which files they read."""

    def __init__(self, tasks: Sequence[Sequence[Todo]]) -> None:
        super().__init__()
        self._tasks = tasks

    def get_name(self) -> str:
        """What Ray shows."""
        return "Files"

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: object = None
    ) -> list[ReadTask]:
        """A task a stretch of files."""
        return [
            ReadTask(_telling(_todo_table(each)), BlockMetadata(len(each), None, None), None, per_task_row_limit)
            for each in self._tasks
        ]


class _EmbeddingEngine:
    """Holds the compiled bundle, in a process of its own."""

    def __init__(self, sent: SentBundle, engine: EngineOptions, batch_size: int) -> None:
        self._model = BlipRetriever.load(sent.find(ray.get), options=on_this_node(engine))
        self._size = self._model.config.vision.image_size
        self._batch_size = batch_size

    def __call__(self, table: pa.Table) -> pa.Table:
        """Vectors in the place of pixels."""
        packed = table.column("pixels")
        shape = (self._size, self._size, 3)
        pixels = [np.frombuffer(each.as_buffer(), np.uint8).reshape(shape) for each in packed if each.is_valid]
        made = iter(self._model.embed_images(pixels, batch_size=self._batch_size)) if pixels else iter(())
        vectors = [np.ascontiguousarray(next(made), np.float32).tobytes() if each.is_valid else None for each in packed]
        return table.drop_columns("pixels").append_column("vector", pa.array(vectors, pa.binary()))


def _look_at(table: pa.Table, images: ImageProcessor, known: Any) -> pa.Table:
    """Read files, and decode those whose content is not known."""
    digests = ray.get(known)
    todos = [
        Todo(each["root"], Path(os.fsdecode(each["path"])), each["below"], each["known"]) for each in table.to_pylist()
    ]
    reader = PhotoReader(images, lambda digest: _KNOWN if _has(digests, digest) else None)
    with closing(reader.read(iter(todos))) as looked:
        return pa.Table.from_pylist([_looked_row(one) for one in looked], schema=_LOOKED)


def _looked_row(one: Looked) -> dict[str, object]:
    return {
        **_todo_row(one.todo),
        "size": one.size,
        "mtime_ns": one.mtime_ns,
        "digest": one.digest,
        "error": None if one.error is None else str(one.error),
        "pixels": None if one.pixels is None else one.pixels.tobytes(),
    }


def _todo_row(todo: Todo) -> dict[str, object]:
    return {"root": todo.root, "path": os.fsencode(todo.path), "below": todo.below, "known": todo.known}


def _todo_table(todos: Iterable[Todo]) -> pa.Table:
    return pa.Table.from_pylist([_todo_row(todo) for todo in todos], schema=_TODO)


def _telling(table: pa.Table) -> Any:
    def tell_files() -> Iterator[pa.Table]:
        yield table

    return tell_files


def _cut(files: Iterator[Todo]) -> Iterator[list[Todo]]:
    while some := list(islice(files, _FILES)):
        yield some


def _has(digests: np.ndarray, digest: bytes) -> bool:
    """Whether a digest is among sorted ones that are put together, uint8 ``[16 n]``."""

    def at(place: int) -> bytes:
        return digests[_DIGEST_BYTES * place : _DIGEST_BYTES * (place + 1)].tobytes()

    count = len(digests) // _DIGEST_BYTES
    place = bisect_left(range(count), digest, key=at)
    return place < count and at(place) == digest
