"""Finding photos by a text or another image: those with the nearest vectors (ITC), ranked by how a text fits (ITM)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from blipvino.arrays import Pixels
from blipvino.checks import integer, shown
from blipvino.errors import ImageError, InputError
from blipvino.retrieval.embedder import Embedder
from blipvino.retrieval.kept_features import DEFAULT_LIMIT_BYTES, KeptFeatures
from blipvino.retrieval.photo_index import PhotoIndex
from blipvino.retrieval.photo_reader import content_digest
from blipvino.retrieval.photo_records import Recorded
from blipvino.retrieval.update_plan import file_state
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.runtime.pairing import Image

DEFAULT_HITS, DEFAULT_RERANKED = 10, 32
UNLIKELY = 0.01
"""A text that fits a photo less probably is taken not to fit it."""
_AHEAD = 3
"""Batches that are read before their turn."""


@dataclass(frozen=True)
class Hit:
    """A photo that was found.

    Attributes:
        path: of the file.
        similarity: cosine of its vector and the query's.
        probability: that the text fits it, 0 to 1; None where it was not ranked by that.
        copies: other files of the same content.
    """

    path: Path
    similarity: float
    probability: float | None = None
    copies: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it; ``probability`` and ``copies`` where there are any."""
        row: dict[str, Any] = {"path": str(self.path), "similarity": round(self.similarity, 6)}
        if self.probability is not None:
            row["probability"] = round(self.probability, 6)
        return row | ({"copies": [str(path) for path in self.copies]} if self.copies else {})


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        hits: best first.
        missing: files of the index that cannot be read any more, or were changed since; they were passed over.
    """

    hits: list[Hit]
    missing: list[Path]


def fits_none(hits: Sequence[Hit]) -> bool:
    """Whether the text seems to fit none of the photos that were ranked by it; False where none was."""
    chances = [hit.probability for hit in hits if hit.probability is not None]
    return bool(chances) and max(chances) < UNLIKELY


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Attributes:
        hits: photos to find.
        rerank: nearest photos that are looked at again together with the text; 0 ranks by vectors alone.
        keep_bytes: that may be kept in the index of what was seen in them, so that later searches are faster.
    """

    hits: int = DEFAULT_HITS
    rerank: int = DEFAULT_RERANKED
    keep_bytes: int = DEFAULT_LIMIT_BYTES

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            InputError: one is out of its range.
        """
        integer("hits", self.hits, 1)
        integer("rerank", self.rerank, 0)
        integer("keep_bytes", self.keep_bytes, 0)


def search_photos(
    index: PhotoIndex,
    model: Embedder,
    text: str | None = None,
    image: Image | None = None,
    options: SearchOptions | None = None,
) -> Found:
    """Find photos.

    Args:
        index: in which.
        model: that made its vectors.
        text: what they show.
        image: one that they are like. With a text, too, the photos nearest to the image are ranked by the text.
        options: how many.

    Raises:
        InputError: neither text nor image, or a text that the model refuses.
        ImageError: the image cannot be read.
        RetrievalError: the index is another bundle's, or cannot be read.
    """
    index.manifest.check_bundle(model.bundle, index.folder)
    chosen = options or SearchOptions()
    if text is None and image is None:
        raise InputError("search for a text, an image or both; none was given")
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise InputError(f"the text to search for is {shown(text)}, expected some words")
    vectors = model.embed_texts([text]) if image is None and text is not None else model.embed_images([_one(image)])
    ranked = chosen.rerank if text is not None else 0
    missing: list[Path] = []
    near = _there(index, np.asarray(vectors[0]), max(chosen.hits, ranked), missing)
    hits = [one.hit() for one in near]
    if text is not None and ranked:
        kept = KeptFeatures(index.folder, model.bundle.fingerprint, chosen.keep_bytes)
        hits = _ranked(model, text, near[:ranked], kept, missing) + hits[ranked:]
    return Found(hits[: chosen.hits], missing)


def _one(image: Image | None) -> Image:
    if image is None:
        raise InputError("search for a text, an image or both; none was given")
    return image


@dataclass(frozen=True)
class _Near:
    """A near image, with its files that are as they were when they were indexed."""

    image: int
    similarity: float
    files: list[Recorded]

    def hit(self, first: int = 0) -> Hit:
        """It as a hit, of that file of its; those before it are left out."""
        path, *copies = (file.path for file in self.files[first:])
        return Hit(path, self.similarity, copies=tuple(copies))


def _there(index: PhotoIndex, vector: np.ndarray, count: int, missing: list[Path]) -> list[_Near]:
    """The nearest images whose files are still there, and still what they were."""
    asked = count
    while True:
        near = []
        missing.clear()
        nearest = index.nearest(vector, asked)
        with index.records.refusals():
            recorded = index.records.recorded_of([image for image, _, _ in nearest])
        for image, similarity, _ in nearest:
            files = recorded.get(image, [])
            there = [file for file in files if _is_unchanged(file)]
            missing += [file.path for file in files if file not in there]
            if there:
                near.append(_Near(image, similarity, there))
            if len(near) == count:
                return near
        if len(nearest) < asked:
            return near
        asked *= 2


def _is_unchanged(file: Recorded) -> bool:
    """Whether a file has the content that was indexed; it is read where its time alone is another."""
    size, mtime_ns = file_state(file.path)
    if size != file.size or mtime_ns == file.mtime_ns:
        return size == file.size and file.path.is_file()
    try:
        return content_digest(file.path) == file.digest
    except ImageError:
        return False


def _ranked(model: Embedder, text: str, near: Sequence[_Near], kept: KeptFeatures, missing: list[Path]) -> list[Hit]:
    """Those that can be read, likeliest first."""
    kept.put({}, [one.image for one in near])  # so that what later batches need is not what has to go for the first
    ranked: list[Hit] = []
    for batch in _batches(model, near, kept):
        made = _features(model, {one.near.image: one.pixels for one in batch if one.pixels is not None}, kept)
        seen: list[ImageFeatures] = []
        hits: list[Hit] = []
        for one in batch:
            features = made.get(one.near.image) if one.kept is None else one.kept
            missing += [file.path for file in one.near.files[: one.failed]]
            if features is not None:
                seen.append(features)
                hits.append(one.near.hit(one.failed))
        if hits:
            fits = model.match(seen, text)
            ranked += [replace(hit, probability=float(fit)) for fit, hit in zip(fits, hits, strict=True)]
        kept.put(made, [])
    return sorted(ranked, key=lambda hit: (-(hit.probability or 0), -hit.similarity))


@dataclass(frozen=True)
class _Seen:
    """A near image with its kept features, or the pixels of its first file that can be read, or neither."""

    near: _Near
    kept: ImageFeatures | None = None
    pixels: Pixels | None = None
    failed: int = 0
    """Its files before that one, which cannot be read or have been changed just now."""


def _batches(model: Embedder, near: Sequence[_Near], kept: KeptFeatures) -> Generator[list[_Seen]]:
    """All in batches, read ahead on all cores; no more than `_AHEAD` batches are held."""
    batches = (near[first : first + DEFAULT_BATCH_SIZE] for first in range(0, len(near), DEFAULT_BATCH_SIZE))
    pool = ThreadPoolExecutor(os.cpu_count())

    def submitted(batch: Sequence[_Near]) -> list[Future[_Seen]]:
        known = kept.get([one.image for one in batch])
        return [pool.submit(_look, model, one, known.get(one.image)) for one in batch]

    try:
        waiting = deque(submitted(batch) for batch in islice(batches, _AHEAD))
        while waiting:
            yield [one.result() for one in waiting.popleft()]
            waiting.extend(submitted(batch) for batch in islice(batches, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _look(model: Embedder, near: _Near, known: ImageFeatures | None) -> _Seen:
    if known is not None:
        return _Seen(near, known)
    for failed, file in enumerate(near.files):
        with suppress(ImageError):  # it was one when the index was made; a copy may be one still
            pixels = model.images.pixels([file.path])[0]
            if _is_unchanged(file):  # features of another content would be kept as this one's
                return _Seen(near, pixels=pixels, failed=failed)
    return _Seen(near, failed=len(near.files))


def _features(model: Embedder, pixels: Mapping[int, Pixels], kept: KeptFeatures) -> dict[int, ImageFeatures]:
    """What the model sees, by id."""
    made = model.features(list(pixels.values())) if pixels else []
    return {image: kept.rounded(features) for image, features in zip(pixels, made, strict=True)}
