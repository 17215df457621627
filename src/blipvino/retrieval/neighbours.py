"""A graph of neighbours (HNSW) over an index's vectors, by `usearch`: found in it are the nearest few of millions.

It is made of the records, and can be made again of them at any time. The name of its file tells the last image that it
has, and its size, so that none is taken for another; images that came later are compared one by one. What was taken out
of the records stays in the graph, to be passed over, until it is made anew: removing from such a graph spoils it.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.files.placing import flush
from blipvino.retrieval.photo_records import PhotoRecords

WORTHWHILE = 100_000
"""Images from which on there is a graph: comparing fewer one by one takes as long as opening it."""
CONNECTIVITY, EXPANSION = 16, 64
"""Neighbours of an image (twice as many on the lowest level), and how many are looked at to find them."""
_LEAST_EXPANSION = 512
"""How many are looked at in a search, at the least."""
_TAIL, _TAIL_SHARE = 5_000, 0.05
"""Images that came later, and their share, above which the graph takes them in."""
_DEAD_SHARE = 0.2
"""Share of images that were taken out, above which the graph is made anew."""
_DTYPE = "i8"
_PARTIAL = "neighbours.partial"
_NAME = re.compile(r"neighbours-(\d+)-(\d+)-(\d+)\.usearch")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Neighbours:
    """A graph, mapped from its file.

    Attributes:
        last_image: the greatest id that it has been given.
        graph: a `usearch.index.Index`.
    """

    last_image: int
    graph: Any

    def __len__(self) -> int:
        return len(self.graph)

    def nearest(self, vector: FloatArray, count: int) -> np.ndarray:
        """Ids of the images nearest to a vector ``[P]``, nearly all of them right: int64, as many as there are."""
        self.graph.expansion_search = max(_LEAST_EXPANSION, 2 * count)
        found = self.graph.search(vector, min(count, len(self)))
        return np.asarray(found.keys, np.int64)


def open_neighbours(index: Path, records: PhotoRecords, width: int) -> Neighbours | None:
    """The latest graph of an index; None where there is none of its records, or no `usearch` to read it."""
    files = sorted(_files(index), reverse=True)
    issued = records.last_issued()  # after the files are listed: the records are never behind a graph that was written
    for last_image, file in files:
        if last_image > issued:
            continue
        graph = _opened(file, width, view=True)
        if graph is not None:
            return Neighbours(last_image, graph)
    return None


def can_find_neighbours() -> bool:
    """Whether `usearch` is installed."""
    return _library() is not None


def drop_strange(index: Path, records: PhotoRecords, width: int) -> None:
    """Remove graphs that are not of these records, before these give an id to an image that a graph has given another.

    A power failure may cost the records their last moments, and others may be put in their place.
    """
    for last_image, file in _files(index):
        graph = _opened(file, width, view=True)
        if graph is None:
            continue
        if last_image > records.last_issued() or not all(
            bool(np.all(graph.contains(ids))) for ids in records.image_ids(last_image)
        ):
            logger.warning("%s: is not of the photos of this index, and is made anew", file)
            del graph  # Windows removes no file that is mapped
            _sweep(index, [kept for _, kept in _files(index) if kept != file])


def update_neighbours(index: Path, records: PhotoRecords, width: int) -> None:
    """Make the graph of an index, or bring it up to date, where that is worth it.

    Where it cannot be written, that is a warning: searches compare all then.
    """
    images = records.value("SELECT COUNT(*) FROM images")
    files = sorted(_files(index), reverse=True)
    _sweep(index, [file for _, file in files[:1]])
    library = _library()
    if library is None or images < WORTHWHILE:
        return
    graph, last_image = None, 0
    if files:
        last_image, file = files[0]
        has = records.value("SELECT COUNT(*) FROM images WHERE id <= ?", last_image)
        tail = images - has
        known = _opened(file, width, view=True)
        if known is not None and len(known) - has <= _DEAD_SHARE * len(known):
            if tail <= max(_TAIL, _TAIL_SHARE * has):
                return
            graph = _opened(file, width, view=False)
    if graph is None:
        last_image = 0
        graph = library.Index(ndim=width, metric="ip", dtype=_DTYPE, connectivity=CONNECTIVITY, expansion_add=EXPANSION)
    for ids, vectors in records.vectors(last_image):
        # Threads side by side leave an image in many thousands that no path leads to.
        graph.add(ids, vectors, threads=1)
        last_image = int(ids[-1])
    try:
        records.flush()  # or a power failure may leave the graph with images that the records have lost
        _save(graph, index, last_image, width)
    except (OSError, RuntimeError) as error:  # what the library raises is the latter
        (index / _PARTIAL).unlink(missing_ok=True)
        logger.warning("%s: the graph of neighbours cannot be written (%s); searches take longer", index, error)


def _save(graph: Any, index: Path, last_image: int, width: int) -> None:
    partial = index / _PARTIAL
    graph.save(str(partial))
    flush([partial])
    file = index / f"neighbours-{last_image}-{width}-{partial.stat().st_size}.usearch"
    partial.replace(file)
    flush([index])
    _sweep(index, [file])


def _sweep(index: Path, kept: list[Path]) -> None:
    """Remove what a killed writer left, and graphs that there are later ones of."""
    for path in [index / _PARTIAL, *(file for _, file in _files(index))]:
        if path not in kept:
            with suppress(PermissionError):  # on Windows a reader has it mapped; the next writer removes it
                path.unlink(missing_ok=True)


def _files(index: Path) -> list[tuple[int, Path]]:
    return [(int(match[1]), file) for file in index.iterdir() if (match := _NAME.fullmatch(file.name))]


def _opened(file: Path, width: int, *, view: bool) -> Any:
    """A graph, whose file has the size and width of its name; None of another one, which mapping would crash on."""
    library = _library()
    match = _NAME.fullmatch(file.name)
    try:
        if library is None or match is None or int(match[2]) != width or int(match[3]) != file.stat().st_size:
            return None
        return library.Index.restore(str(file), view=view)
    except (OSError, RuntimeError, ValueError):  # has just been replaced, or is of another version of the library
        return None


def _library() -> Any:
    try:
        import usearch.index  # noqa: PLC0415  # of the extra "search": small indexes do without
    except ImportError:
        return None
    return usearch.index
