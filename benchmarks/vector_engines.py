"""Ways to find the nearest vectors: by looking at all of them, or by a structure of `usearch` or `faiss`.

Each is made of vectors and written to a file, and opened from that file to be searched, as two processes do it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from blipvino.arrays import AnyArray, FloatArray

NEIGHBOURS, EFFORT = 16, 64
"""Of graphs: neighbours of a vector (twice as many on the lowest level), and how many are looked at to find them."""
CHUNK = 20_000


class VectorEngine(ABC):
    """One way.

    Attributes:
        name: in the table.
        efforts: how thoroughly it may search, from fast to exact; one 0 where there is no choice.
    """

    name: str
    efforts: tuple[int, ...] = (0,)

    @abstractmethod
    def build(self, vectors: FloatArray, file: Path) -> None:
        """Make it of vectors ``[N, P]``, of length 1, and write it to a file."""

    @abstractmethod
    def open(self, file: Path) -> None:
        """Make it ready to search, mapped from the file where it can be."""

    @abstractmethod
    def search(self, query: FloatArray, count: int, effort: int) -> AnyArray:
        """Numbers of the nearest vectors to one ``[P]``, nearest first."""


class NumpyExact(VectorEngine):
    """A product of matrix and vector."""

    name = "numpy, exact, f32"

    def build(self, vectors: FloatArray, file: Path) -> None:
        """Write it to a file."""
        np.save(file, vectors)

    def open(self, file: Path) -> None:
        """Map it from the file."""
        self._vectors = np.load(f"{file}.npy", mmap_mode="r")

    def search(self, query: FloatArray, count: int, effort: int) -> AnyArray:
        """The nearest vectors."""
        scores = self._vectors @ query
        nearest = np.argpartition(-scores, count)[:count]
        return nearest[np.argsort(-scores[nearest])]


class UsearchExact(VectorEngine):
    """`usearch.index.search` over an array of narrower numbers."""

    def __init__(self, dtype: str) -> None:
        self.name = f"usearch, exact, {dtype}"
        self._dtype = dtype

    def build(self, vectors: FloatArray, file: Path) -> None:
        """Write it to a file."""
        made = np.lib.format.open_memmap(f"{file}.npy", "w+", _numpy_type(self._dtype), vectors.shape)
        for first in range(0, len(vectors), CHUNK):
            made[first : first + CHUNK] = _converted(vectors[first : first + CHUNK], self._dtype)
        made.flush()

    def open(self, file: Path) -> None:
        """Map it from the file."""
        self._vectors = np.load(f"{file}.npy", mmap_mode="r")

    def search(self, query: FloatArray, count: int, effort: int) -> AnyArray:
        """The nearest vectors."""
        from usearch.index import MetricKind, search  # noqa: PLC0415

        found = search(self._vectors, _converted(query, self._dtype), count, MetricKind.IP, exact=True)
        return np.asarray(found.keys)


class UsearchGraph(VectorEngine):
    """`usearch.index.Index`: a graph of neighbours (HNSW), mapped from its file."""

    efforts = (64, 128, 256, 512)

    def __init__(self, dtype: str) -> None:
        self.name = f"usearch, graph, {dtype}"
        self._dtype = dtype

    def build(self, vectors: FloatArray, file: Path) -> None:
        """Write it to a file."""
        from usearch.index import Index  # noqa: PLC0415

        index = Index(
            ndim=vectors.shape[1], metric="ip", dtype=self._dtype, connectivity=NEIGHBOURS, expansion_add=EFFORT
        )
        for first in range(0, len(vectors), CHUNK):
            chunk = np.ascontiguousarray(vectors[first : first + CHUNK])
            index.add(np.arange(first, first + len(chunk)), chunk)
        index.save(str(file))

    def open(self, file: Path) -> None:
        """Map it from the file."""
        from usearch.index import Index  # noqa: PLC0415

        self._index = Index.restore(str(file), view=True)

    def search(self, query: FloatArray, count: int, effort: int) -> AnyArray:
        """The nearest vectors."""
        self._index.expansion_search = effort
        return np.asarray(self._index.search(query, count).keys)


class Faiss(VectorEngine):
    """An index of `faiss`, by the name that its factory knows it by."""

    def __init__(self, name: str, factory: str, option: str = "", efforts: tuple[int, ...] = (0,)) -> None:
        self.name, self.efforts = f"faiss, {name}", efforts
        self._factory, self._option = factory, option

    def build(self, vectors: FloatArray, file: Path) -> None:
        """Write it to a file."""
        import faiss  # noqa: PLC0415

        index: Any = faiss.index_factory(vectors.shape[1], self._factory, faiss.METRIC_INNER_PRODUCT)
        if self._factory.startswith("HNSW"):
            index.hnsw.efConstruction = EFFORT
        if not index.is_trained:
            step = max(1, len(vectors) // 200_000)
            index.train(np.ascontiguousarray(vectors[::step]))
        for first in range(0, len(vectors), CHUNK):
            index.add(np.ascontiguousarray(vectors[first : first + CHUNK]))
        faiss.write_index(index, str(file))

    def open(self, file: Path) -> None:
        """Map it from the file."""
        import faiss  # noqa: PLC0415

        try:
            self._index: Any = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError:  # not every kind can be mapped
            self._index = faiss.read_index(str(file))

    def search(self, query: FloatArray, count: int, effort: int) -> AnyArray:
        """The nearest vectors."""
        if self._option == "efSearch":
            self._index.hnsw.efSearch = effort
        elif self._option == "nprobe":
            self._index.nprobe = effort
        return self._index.search(query[None], count)[1][0]


ENGINES: tuple[VectorEngine, ...] = (
    NumpyExact(),
    *(UsearchExact(dtype) for dtype in ("f16", "i8")),
    Faiss("exact, f32", "Flat"),
    Faiss("exact, f16", "SQfp16"),
    *(UsearchGraph(dtype) for dtype in ("f32", "f16", "i8")),
    Faiss("graph, f32", f"HNSW{NEIGHBOURS}", "efSearch", UsearchGraph.efforts),
    Faiss("graph, f16", f"HNSW{NEIGHBOURS}_SQfp16", "efSearch", UsearchGraph.efforts),
    Faiss("graph, i8", f"HNSW{NEIGHBOURS}_SQ8", "efSearch", UsearchGraph.efforts),
    Faiss("lists, f16", "IVF1024,SQfp16", "nprobe", (16, 32, 64, 128)),
)


def _numpy_type(dtype: str) -> type:
    return {"f16": np.float16, "i8": np.int8}[dtype]


def _converted(vectors: FloatArray, dtype: str) -> AnyArray:
    """In the numbers of a type; 8-bit ones as usearch has them, 127 standing for 1."""
    return (vectors * 127).round().astype(np.int8) if dtype == "i8" else vectors.astype(np.float16)
