"""A cheap model for retrieval, and photos for it: an image's vector is its colour, a text's is that of its word."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from blipvino.checkpoint.config import PreprocessorConfig
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.inputs.images import ImageProcessor

COLORS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250), "yellow": (250, 250, 10)}
WIDTH = 4


class ColorEmbedder:
    """An `Embedder` that counts the images that it embeds, and those whose features it makes."""

    def __init__(self, name="colors"):
        source = SimpleNamespace(name=f"{name}-checkpoint")
        self.bundle = SimpleNamespace(
            folder=Path(name), fingerprint=f"{name}-fingerprint", label="int8", manifest=SimpleNamespace(source=source)
        )
        self.config = SimpleNamespace(image_text_hidden_size=WIDTH)
        self.images = ImageProcessor(PreprocessorConfig(size=8))
        self.embedded = self.looked = 0

    def embed_images(self, images):
        pixels = self.images.pixels(images)
        self.embedded += len(pixels)
        return _vectors(pixels.reshape(len(pixels), -1, 3).mean(1))

    def embed_texts(self, texts):
        return _vectors(np.array([_color(text) for text in texts], float))

    def features(self, images):
        self.looked += len(images)
        colors = self.images.pixels(images).reshape(len(images), -1, 3).mean(1)
        return [ImageFeatures(color[None].astype(np.float32), self.bundle.fingerprint) for color in colors]

    def match(self, images, texts):
        """1 for an image of the very colour, less the further it is from that."""
        colors = np.concatenate([features.image_embeds for features in images])
        return np.exp(-np.abs(colors - _color(texts)).sum(1) / 100).astype(np.float32)


def _color(text):
    return COLORS[next(word for word in text.split() if word in COLORS)]


def _vectors(colors):
    rows = np.concatenate([colors / 127.5 - 1, np.full((len(colors), 1), 0.1)], 1).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def photo(path, color, shade=0):
    """Write a photo of one colour; each shade is another content."""
    values = COLORS[color] if isinstance(color, str) else color
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), tuple(abs(value - shade) for value in values)).save(path, "PNG")
    return path


def bad_photo(path, content=b"no image"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def later(path, seconds=5):
    """Let a file have been changed later than it was."""
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + int(seconds * 1e9)))
