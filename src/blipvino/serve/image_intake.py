"""Images of requests, in whatever form they came, to what a model reads; nothing is decoded that is too large."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from blipvino.arrays import Pixels
from blipvino.errors import ImageError
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.serve.fetching import Fetcher
from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import RequestLimits
from blipvino.serve.stage_times import current_times

_T = TypeVar("_T")
_WEB = ("http://", "https://")
Sent = tuple[str, str | bytes]
"""An image: its name for messages; the bytes of its file, or their base64, a data URL, or a URL."""


@dataclass(frozen=True, eq=False)
class SeenImage:
    """An image that was decoded.

    Attributes:
        pixels: uint8 ``[size, size, 3]``, resized for its model.
        digest: of them.
    """

    pixels: Pixels
    digest: bytes


class ImageIntake:
    """Decodes images, on all cores.

    Args:
        limits: of what is taken.
        fetcher: gets those that come as URLs; None refuses them.
    """

    def __init__(self, limits: RequestLimits, fetcher: Fetcher | None) -> None:
        self._limits = limits
        self._fetcher = fetcher
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="blipvino-image")

    async def images(self, sent: Sequence[Sent], processor: ImageProcessor) -> list[SeenImage]:
        """Images for one model.

        Raises:
            RequestError: there are none or too many, or one is no base64, or a URL that is not fetched.
            ImageError: one cannot be decoded, or is not taken.
        """
        if not 1 <= len(sent) <= self._limits.images:
            raise RequestError(
                422, "image_count", f"found {len(sent)} images, expected 1 to {self._limits.images}", param="images"
            )
        fetched = [(name, await self._fetched(name, content)) for name, content in sent]
        with current_times().stage("image"):
            return list(await asyncio.gather(*(self._in_pool(_seen, one, processor) for one in fetched)))

    def close(self) -> None:
        """Decode no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _fetched(self, name: str, content: str | bytes) -> str | bytes:
        if not isinstance(content, str) or not content.lower().startswith(_WEB):
            return content
        if self._fetcher is None:
            raise RequestError(
                422, "no_fetching", f"{name}: this server fetches no URLs; send the image itself", param=name
            )
        with current_times().stage("fetch"):
            return await self._fetcher.fetch(name, content)

    async def _in_pool(self, work: Callable[[Sent, ImageProcessor], _T], sent: Sent, processor: ImageProcessor) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, sent, processor)


def _seen(sent: Sent, processor: ImageProcessor) -> SeenImage:
    name, content = sent
    file = content if isinstance(content, bytes) else decoded_base64(name, content)
    try:
        pixels = processor.pixels([file])[0]
    except ImageError as error:
        raise ImageError(f"{name}: {str(error).partition(': ')[2] or error}") from None
    return SeenImage(pixels, hashlib.sha256(pixels.tobytes()).digest())


def decoded_base64(name: str, text: str) -> bytes:
    """The bytes of base64, or of a data URL.

    Raises:
        RequestError: it is neither.
    """
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise RequestError(422, "invalid_image", f"{name}: a data URL, expected data:…;base64,…", param=name)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(
            422,
            "invalid_image",
            f"{name}: is neither base64 nor a data URL; send the image in one of these",
            param=name,
        ) from None
