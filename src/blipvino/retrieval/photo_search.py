"""Finding photos by a text or another image: those with the nearest vectors (ITC), ranked by how a text fits (ITM)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from blipvino.arrays import Pixels
from blipvino.checks import integer, shown
from blipvino.errors import ImageError, InputError
from blipvino.retrieval.embedder import Embedder
from blipvino.retrieval.kept_features import DEFAULT_LIMIT_BYTES, KeptFeatures
from blipvino.retrieval.photo_index import PhotoIndex
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.inputs.images import ImageSource
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE

DEFAULT_HITS, DEFAULT_RERANKED = 10, 32


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
        missing: files that the index has and that cannot be read any more; they were passed over.
    """

    hits: list[Hit]
    missing: list[Path]


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
    image: ImageSource | None = None,
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
    hits = [hit for _, hit in near]
    if text is not None and ranked:
        kept = KeptFeatures(index.folder, model.bundle.fingerprint, chosen.keep_bytes)
        hits = _ranked(model, text, near[:ranked], kept, missing) + hits[ranked:]
    return Found(hits[: chosen.hits], missing)


def _one(image: ImageSource | None) -> ImageSource:
    if image is None:
        raise InputError("search for a text, an image or both; none was given")
    return image


def _there(index: PhotoIndex, vector: np.ndarray, count: int, missing: list[Path]) -> list[tuple[int, Hit]]:
    """The nearest images whose files are still there, by id."""
    asked = count
    while True:
        near = []
        missing.clear()
        nearest = index.nearest(vector, asked)
        for image, similarity, files in nearest:
            there = [file for file in files if file.is_file()]
            missing += [file for file in files if file not in there]
            if there:
                near.append((image, Hit(there[0], similarity, copies=tuple(there[1:]))))
            if len(near) == count:
                return near
        if len(nearest) < asked:
            return near
        asked *= 2


def _ranked(
    model: Embedder, text: str, near: Sequence[tuple[int, Hit]], kept: KeptFeatures, missing: list[Path]
) -> list[Hit]:
    """Those that can be read, likeliest first."""
    known = kept.get([image for image, _ in near])
    ranked: list[Hit] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reading = {image: pool.submit(_pixels, model, hit.path) for image, hit in near if image not in known}
        for first in range(0, len(near), DEFAULT_BATCH_SIZE):
            batch = near[first : first + DEFAULT_BATCH_SIZE]
            pixels = {image: reading.pop(image).result() for image, _ in batch if image in reading}
            made = _features(model, {image: read for image, read in pixels.items() if read is not None}, kept)
            there = [(image, hit) for image, hit in batch if image in known or image in made]
            missing += [hit.path for image, hit in batch if image not in known and image not in made]
            if there:
                seen = [known.pop(image) if image in known else made[image] for image, _ in there]
                fits = model.match(seen, text)
                ranked += [replace(hit, probability=float(fit)) for fit, (_, hit) in zip(fits, there, strict=True)]
            kept.put(made, [image for image, _ in there])
    return sorted(ranked, key=lambda hit: (-(hit.probability or 0), -hit.similarity))


def _features(model: Embedder, pixels: Mapping[int, Pixels], kept: KeptFeatures) -> dict[int, ImageFeatures]:
    """What the model sees, by id."""
    made = model.features(list(pixels.values())) if pixels else []
    return {image: kept.rounded(features) for image, features in zip(pixels, made, strict=True)}


def _pixels(model: Embedder, path: Path) -> Pixels | None:
    try:
        return model.images.pixels([path])[0]
    except ImageError:  # it was one when the index was made
        return None
