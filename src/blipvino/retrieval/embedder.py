"""What an index of photos asks of a model; `BlipRetriever` is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from blipvino.arrays import FloatArray
from blipvino.bundle.bundle import Bundle
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.inputs.images import ImageProcessor, ImageSource
from blipvino.runtime.pairing import Image


class EmbedderConfig(Protocol):
    """What there is to know of a model beforehand."""

    @property
    def image_text_hidden_size(self) -> int:
        """How wide its vectors are."""


class ImageEmbedder(Protocol):
    """Images to vectors of length 1: what an update asks for."""

    @property
    def bundle(self) -> Bundle:
        """What it was loaded from; vectors of two bundles are not compared."""

    @property
    def config(self) -> EmbedderConfig:
        """Its sizes."""

    @property
    def images(self) -> ImageProcessor:
        """Images to pixels."""

    def embed_images(self, images: Sequence[ImageSource]) -> FloatArray:
        """A vector an image: float32 ``[N, P]``."""


class Embedder(ImageEmbedder, Protocol):
    """Texts to such vectors, too, and pairs of images and texts to probabilities: what a search asks for."""

    def embed_images(self, images: Sequence[Image]) -> FloatArray:
        """A vector an image, or what it sees in one: float32 ``[N, P]``."""

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """A vector a text: float32 ``[N, P]``.

        Raises:
            InputError: a text is too long, or empty.
        """

    def features(self, images: Sequence[ImageSource]) -> list[ImageFeatures]:
        """What it sees in images, to be given to `match` in their place."""

    def match(self, images: Sequence[ImageFeatures], texts: str) -> FloatArray:
        """How probable it is that a text fits each image: float32 ``[N]``."""
