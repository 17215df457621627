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
from weakref import WeakValueDictionary

from blipvino.arrays import Pixels
from blipvino.errors import ImageError
from blipvino.runtime.features import ImageFeatures, pixels_digest
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.serve.fetching import Fetcher
from blipvino.serve.held_bytes import current_bytes
from blipvino.serve.known_files import FileKey, KnownFiles
from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import RequestLimits
from blipvino.serve.served_models import ServedModel
from blipvino.serve.stage_times import current_times

_T = TypeVar("_T")
_WEB = ("http://", "https://")
Sent = tuple[str, str | bytes]
"""An image: its name for messages; the bytes of its file, or their base64, a data URL, or a URL."""


_AT_ONCE_BYTES = 2**18
"""Of a request: no more is hashed at once, which takes less time than another thread takes to begin with it."""
_WHITE = b" \t\n\r\v\f"
_FILES_KNOWN = 4096
"""Whose digests are kept, each with that of its pixels: a megabyte in all."""


@dataclass(frozen=True, eq=False)
class SeenImage:
    """An image that was decoded, now or before.

    Attributes:
        content: its pixels, uint8 ``[size, size, 3]``, resized for its model; or what that knows of it.
        digest: of its pixels.
    """

    content: Pixels | ImageFeatures
    digest: bytes


class ImageIntake:
    """Decodes images, on all cores. A file that came before is not decoded while the model knows its image.

    Args:
        limits: of what is taken.
        fetcher: gets those that come as URLs; None refuses them.
    """

    def __init__(self, limits: RequestLimits, fetcher: Fetcher | None) -> None:
        self._limits = limits
        self._fetcher = fetcher
        # Of requests that ask a model about the same image, all have the same object.
        self._known = WeakValueDictionary[tuple[str, bytes], SeenImage]()
        self._files = KnownFiles(_FILES_KNOWN)
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="blipvino-image")

    def check(self, sent: Sequence[Sent]) -> None:
        """Check what can be told before anything is decoded.

        Raises:
            RequestError: there are none or too many, or one is a URL and none is fetched.
        """
        if not 1 <= len(sent) <= self._limits.images:
            raise RequestError(
                422, "image_count", f"found {len(sent)} images, expected 1 to {self._limits.images}", param="images"
            )
        for name, content in sent:
            if self._fetcher is None and _is_url(content):
                message = f"{name}: this server fetches no URLs; send the image itself"
                raise RequestError(422, "no_fetching", message, param=name)

    async def images(self, sent: list[Sent], model: ServedModel) -> list[SeenImage]:
        """Images for one model.

        Args:
            sent: in whatever form they came; afterwards the list is empty, so that nobody holds what was decoded.
            model: that they are for.

        Raises:
            RequestError: there are none or too many, or one is no base64, or a URL that is not fetched.
            ImageError: one cannot be decoded, or is not taken.
            OverloadError: what was fetched is too much beside what other requests hold.
        """
        self.check(sent)
        try:
            await self._fetch(sent)
            at_once = sum(len(content) for _, content in sent) <= _AT_ONCE_BYTES
            with current_times().stage("image"):
                seen = await asyncio.gather(*(self._seen(one, model, at_once) for one in sent))
        finally:
            current_bytes().release(sum(len(content) for _, content in sent))
            sent.clear()
        return [self._known.setdefault((model.name, one.digest), one) for one in seen]

    def close(self) -> None:
        """Decode no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _fetch(self, sent: list[Sent]) -> None:
        """Put files into the places of their URLs."""
        urls = [place for place, (_, content) in enumerate(sent) if _is_url(content)]
        if self._fetcher is None or not urls:
            return
        allowance = self._fetcher.allowance()
        with current_times().stage("fetch"):
            for place in urls:
                name, url = sent[place]
                file = await self._fetcher.fetch(name, str(url), allowance)
                current_bytes().take(len(file))
                sent[place] = name, file

    async def _seen(self, sent: Sent, model: ServedModel, at_once: bool) -> SeenImage:
        file, key, known = self._recalled(sent, model) if at_once else await self._in_pool(self._recalled, sent, model)
        if known is not None:
            return known
        return await self._in_pool(self._decoded, key, (sent[0], file), model)

    def _recalled(self, sent: Sent, model: ServedModel) -> tuple[bytes, FileKey, SeenImage | None]:
        """A file, what it goes by, and what the model knows of it if it came before."""
        name, content = sent
        file = content if isinstance(content, bytes) else decoded_base64(name, content)
        key = model.name, hashlib.sha256(file).digest()
        digest = self._files.get(key)
        features = None if digest is None else model.extractor.known(digest)
        return file, key, None if digest is None or features is None else SeenImage(features, digest)

    def _decoded(self, key: FileKey, file: tuple[str, bytes], model: ServedModel) -> SeenImage:
        pixels = _decoded(*file, model.processor)
        digest = pixels_digest(pixels)
        self._files.put(key, digest)
        return SeenImage(pixels, digest)

    async def _in_pool(self, work: Callable[..., _T], *given: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *given)


def _is_url(content: str | bytes) -> bool:
    return isinstance(content, str) and content[: len(_WEB[-1])].lower().startswith(_WEB)


def _decoded(name: str, file: bytes, processor: ImageProcessor) -> Pixels:
    try:
        return processor.pixels([file])[0]
    except ImageError as error:
        raise ImageError(f"{name}: {str(error).partition(': ')[2] or error}") from None


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
        return base64.b64decode(text.encode("ascii").translate(None, _WHITE), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(
            422,
            "invalid_image",
            f"{name}: is neither base64 nor a data URL; send the image in one of these",
            param=name,
        ) from None
