"""Embeddings, matches and searches, whatever protocol asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.errors import ImageError
from blipvino.files.data_urls import jpeg_url
from blipvino.retrieval.photo_search import Found, Hit, SearchOptions, search_photos
from blipvino.runtime.inputs.images import load_image
from blipvino.serve.image_intake import SeenImage
from blipvino.serve.served_models import ServedIndex, ServedModel
from blipvino.serve.text_service import TextService

_THUMBNAIL, _THUMBNAIL_QUALITY = (256, 256), 80


@dataclass(frozen=True)
class Embedded:
    """Embeddings of images and texts, float32 ``[N, P]`` and ``[T, P]``."""

    images: FloatArray
    texts: FloatArray


@dataclass(frozen=True)
class SearchWork:
    """A search.

    Attributes:
        index: in which.
        text: what is searched for.
        image: likewise.
        options: how many.
        seconds: that it may take.
    """

    index: ServedIndex
    text: str | None
    image: SeenImage | None
    options: SearchOptions
    seconds: float | None


class RetrievalService:
    """Embeds, matches and searches.

    Args:
        service: admits the work and checks its limits.
    """

    def __init__(self, service: TextService) -> None:
        self._service = service

    async def embed(
        self, model: ServedModel, images: Sequence[SeenImage], texts: Sequence[str], seconds: float | None
    ) -> Embedded:
        """Embeddings.

        Raises:
            RequestError: more is asked for than one request may.
            InputError: a text is not allowed.
        """
        self._check(len(images) + len(texts), texts)
        retriever = model.retriever

        def embedded() -> Embedded:
            none = np.zeros((0, retriever.config.image_text_hidden_size), np.float32)
            seen = retriever.embed_images([image.pixels for image in images]) if images else none
            return Embedded(seen, retriever.embed_texts(list(texts)) if texts else none)

        return await self._service.in_background(len(images) + len(texts), seconds, embedded)

    async def match(
        self, model: ServedModel, images: Sequence[SeenImage], texts: Sequence[str], seconds: float | None
    ) -> FloatArray:
        """How probable it is that each text fits each image, float32 ``[N, T]``.

        Raises:
            RequestError: more is asked for than one request may.
            InputError: a text is not allowed.
        """
        pairs = len(images) * len(texts)
        self._check(pairs, texts)

        def matched() -> FloatArray:
            return model.retriever.match([image.pixels for image in images], list(texts))

        return await self._service.in_background(pairs, seconds, matched)

    async def search(self, work: SearchWork) -> Found:
        """Photos.

        Raises:
            RequestError: the text is too long.
            BlipvinoError: as of `search_photos`.
        """
        self._check(1, [work.text] if work.text is not None else [])
        image = None if work.image is None else work.image.pixels

        def found() -> Found:
            return search_photos(work.index.index, work.index.model.retriever, work.text, image, work.options)

        return await self._service.in_background(1, work.seconds, found)

    async def thumbnails(self, hits: Sequence[Hit], seconds: float | None) -> list[str | None]:
        """Small pictures of photos that were found, as data URLs; None of one that cannot be read any more."""
        return await self._service.in_background(1, seconds, lambda: [_thumbnail(hit) for hit in hits])

    def _check(self, count: int, texts: Sequence[str]) -> None:
        self._service.check_texts(count)
        self._service.check_characters("texts", texts)


def _thumbnail(hit: Hit) -> str | None:
    try:
        return jpeg_url(load_image(hit.path, least=_THUMBNAIL[0]), _THUMBNAIL, _THUMBNAIL_QUALITY)
    except ImageError:
        return None
