"""Embeddings, matches and searches, whatever protocol asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.errors import ImageError
from blipvino.files.data_urls import jpeg_url
from blipvino.retrieval.photo_search import Found, Hit, SearchOptions, search_photos
from blipvino.runtime.async_blip import Urgency
from blipvino.runtime.inputs.images import load_image
from blipvino.serve.image_intake import SeenImage, Sent
from blipvino.serve.served_models import ServedIndex, ServedModel
from blipvino.serve.text_service import TextService

RetrievalTask = Literal["embed", "match", "search"]
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
        urgency: how soon it is wanted.
    """

    index: ServedIndex
    text: str | None
    image: SeenImage | None
    options: SearchOptions
    urgency: Urgency


class RetrievalService:
    """Embeds, matches and searches.

    Args:
        service: admits the work and checks its limits.
    """

    def __init__(self, service: TextService) -> None:
        self._service = service

    async def seen(
        self, model: ServedModel, task: RetrievalTask, sent: list[Sent], texts: Sequence[str]
    ) -> list[SeenImage]:
        """Images, if there are any, which are decoded when nothing else speaks against what is asked.

        Args:
            model: that is asked.
            task: what it is to do with images and texts.
            sent: the images, which are taken out of the list.
            texts: that are asked about, too.

        Raises:
            RequestError: more is asked for than one request may, or as `ImageIntake.images`.
            OverloadError: too much is waited for.
            ImageError: one cannot be decoded, or is not taken.
        """
        self._service.check_texts((model.name, task), _weight(task, len(sent), len(texts)))
        self._service.check_characters("texts", texts)
        for text in texts:
            model.retriever.texts.statement(text)
        return await self._service.images(model, sent) if sent else []

    async def embed(
        self, model: ServedModel, images: Sequence[SeenImage], texts: Sequence[str], urgency: Urgency
    ) -> Embedded:
        """Embeddings of images and texts that were `seen`.

        Raises:
            OverloadError: too much is waited for.
        """
        retriever = model.retriever

        def embedded() -> Embedded:
            none = np.zeros((0, retriever.config.image_text_hidden_size), np.float32)
            seen = retriever.embed_images([image.content for image in images]) if images else none
            return Embedded(seen, retriever.embed_texts(list(texts)) if texts else none)

        weight = _weight("embed", len(images), len(texts))
        return await self._service.in_background((model.name, "embed"), weight, urgency, embedded)

    async def match(
        self, model: ServedModel, images: Sequence[SeenImage], texts: Sequence[str], urgency: Urgency
    ) -> FloatArray:
        """How probable it is that each text fits each image, both of which were `seen`; float32 ``[N, T]``.

        Raises:
            OverloadError: too much is waited for.
        """

        def matched() -> FloatArray:
            return model.retriever.match([image.content for image in images], list(texts))

        weight = _weight("match", len(images), len(texts))
        return await self._service.in_background((model.name, "match"), weight, urgency, matched)

    async def search(self, work: SearchWork) -> tuple[Found, list[Path]]:
        """Photos, and the folders that were indexed.

        Raises:
            OverloadError: too much is waited for.
            BlipvinoError: as of `search_photos`.
        """
        image = None if work.image is None else work.image.content

        def found() -> tuple[Found, list[Path]]:
            index = work.index.index
            return search_photos(index, work.index.model.retriever, work.text, image, work.options), index.roots()

        return await self._service.in_background((work.index.model.name, "search"), 1, work.urgency, found)

    async def thumbnails(self, work: SearchWork, hits: Sequence[Hit]) -> list[str | None]:
        """Small pictures of photos that were found, as data URLs; None of one that cannot be read any more."""
        kind = work.index.model.name, "thumbnails"
        return await self._service.in_background(kind, 1, work.urgency, lambda: [_thumbnail(hit) for hit in hits])


def _weight(task: RetrievalTask, images: int, texts: int) -> int:
    """What is asked of images and texts, in texts."""
    if task == "search":
        return 1
    return images * texts if task == "match" else images + texts


def _thumbnail(hit: Hit) -> str | None:
    try:
        return jpeg_url(load_image(hit.path, least=_THUMBNAIL[0]), _THUMBNAIL, _THUMBNAIL_QUALITY)
    except ImageError:
        return None
