"""Files ahead of the work on them: read, compared with what is known, decoded and resized, on all cores."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import xxhash

from blipvino.arrays import FloatArray, Pixels
from blipvino.errors import ImageError
from blipvino.machine.versions import installed_version
from blipvino.retrieval.update_plan import Todo, file_state
from blipvino.runtime.inputs.images import ImageProcessor

AHEAD = 32
"""Files that are read before their turn."""
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Looked:
    """A file that was read.

    Attributes:
        todo: the file.
        digest: XXH3 (128 bits) of its content; empty where that could not be read.
        size: in bytes, before it was read.
        mtime_ns: when it was changed, before it was read.
        image: id of the image of this content, where it is known.
        pixels: uint8 ``[size, size, 3]``, where it is not.
        vector: float32 ``[P]`` in place of pixels, where who read the file embedded it, too.
        error: why there are none.
    """

    todo: Todo
    size: int
    mtime_ns: int
    digest: bytes = b""
    image: int | None = None
    pixels: Pixels | None = None
    vector: FloatArray | None = None
    error: ImageError | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether its image is not known yet."""
        return self.pixels is not None or self.vector is not None


class FileReader(Protocol):
    """Reads the files of an update."""

    def read(self, files: Iterator[Todo]) -> Generator[Looked]:
        """Yield all files, read; close it to read no more."""
        ...


class PhotoReader:
    """Reads files, here.

    Args:
        images: that decodes and resizes them.
        known: the id of the image of a content, if there is one; it is asked from several threads.
    """

    def __init__(self, images: ImageProcessor, known: Callable[[bytes], int | None]) -> None:
        self._images = images
        self._known = known

    def read(self, files: Iterator[Todo]) -> Generator[Looked]:
        """Yield all files, read, in order; no more than `AHEAD` are held."""
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            waiting = deque(pool.submit(self.look, todo) for todo in islice(files, AHEAD))
            while waiting:
                looked = waiting.popleft().result()
                waiting.extend(pool.submit(self.look, todo) for todo in islice(files, 1))
                yield looked
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def look(self, todo: Todo) -> Looked:
        """Read one file."""
        digest, before = b"", file_state(todo.path)
        try:
            digest = content_digest(todo.path)
            image = self._known(digest)
            pixels = self._images.pixels([todo.path])[0] if image is None else None
        except ImageError as error:
            return Looked(todo, *before, digest, error=error)
        if file_state(todo.path) != before:  # the pixels may be of another content than the digest
            changed = ImageError(f"{todo.path}: was changed while it was read; index again")
            return Looked(todo, *before, error=changed)
        return Looked(todo, *before, digest, image, pixels)


def content_digest(path: Path) -> bytes:
    """XXH3 (128 bits) of a file's content, which is never held as a whole.

    Raises:
        ImageError: it is not there, is no file, or is not to be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a fifo would wait for its writer
            raise ImageError(f"{path}: is no file; expected an image file")
        digest = xxhash.xxh3_128()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); allow it to be read, or restore it") from error
    return digest.digest()


def reading_software() -> str:
    """What decodes files here: what it cannot read, another version may."""
    return ", ".join(f"{name} {installed_version(name)}" for name in ("pillow", "pillow-heif"))
