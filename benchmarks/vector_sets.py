"""Vectors like those of images and of texts about them, made up: of length 1, in clusters of few directions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blipvino.arrays import FloatArray

CHUNK = 50_000
CLUSTERS, DIRECTIONS = 2_000, 48
NOISE = 0.35
"""Of the length of a vector, in all directions alike."""
TOWARDS = 0.45
"""Cosine of a text and the image that it is about. Texts lie beside the images, not among them, which is what makes
searching by text harder for a graph of neighbours than searching by image."""


@dataclass(frozen=True)
class VectorSet:
    """A file of vectors.

    Attributes:
        path: of a ``.npy``, float32 ``[N, P]``.
    """

    path: Path

    def vectors(self) -> FloatArray:
        """All of them, mapped from the file."""
        return np.load(self.path, mmap_mode="r")


def write_vectors(path: Path, count: int, width: int, seed: int = 0) -> VectorSet:
    """Make vectors of images.

    Args:
        path: the file.
        count: of vectors.
        width: of each.
        seed: of the draw.
    """
    made = np.lib.format.open_memmap(path, "w+", np.float32, (count, width))
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((DIRECTIONS, width), np.float32) / np.sqrt(np.float32(width))
    centers = rng.standard_normal((CLUSTERS, DIRECTIONS), np.float32)
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        inner = rng.standard_normal((size, DIRECTIONS), np.float32)
        seen = of_length_1((centers[rng.integers(CLUSTERS, size=size)] + 0.7 * inner) @ basis)
        noise = of_length_1(rng.standard_normal((size, width), np.float32))
        made[first : first + size] = of_length_1(seen + NOISE * noise)
    made.flush()
    return VectorSet(path)


def text_vectors(images: FloatArray, count: int, seed: int = 1) -> FloatArray:
    """Vectors of texts, each about one of the images: float32 ``[count, P]``.

    What texts have in common and images have not is one direction; the rest of the way is each text's own.
    """
    rng = np.random.default_rng(seed)
    about = images[np.sort(rng.choice(len(images), count, replace=False))]
    common = of_length_1(rng.standard_normal((1, images.shape[1]), np.float32))
    own = of_length_1(rng.standard_normal((count, images.shape[1]), np.float32))
    away = of_length_1(common + own)
    return of_length_1(TOWARDS * about + np.sqrt(np.float32(1 - TOWARDS**2)) * away)


def of_length_1(vectors: FloatArray) -> FloatArray:
    """The vectors ``[N, P]``, each divided by its length."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
