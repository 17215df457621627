"""A file that says what it holds and shows whether it is whole: content, a JSON record, a seal of fixed size.

The record has the content's size and digest, the seal has the record's. All of it is one file that is renamed into
place, so that neither a crash nor a swap of names can part the content from what is said of it. The digests (XXH3, as
fast as memory is read) guard against damage, not against an author.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import xxhash

from blipvino.files.partials import is_abandoned

if sys.platform != "win32":
    import fcntl

_MAGIC = b"blipseal"
_SEAL = struct.Struct("<8sQ16s")  # magic, bytes of the record, digest of the record
_CHUNK_BYTES = 2**18


@dataclass(frozen=True)
class Record:
    """What a sealed file says of its content.

    Attributes:
        content_bytes: of the content, which comes first in the file.
        digest: XXH3 (128 bits) of the content, in hexadecimal.
        fields: what the writer said of it.
    """

    content_bytes: int
    digest: str
    fields: Mapping[str, Any]


def write_sealed(path: Path, content: memoryview, fields: Mapping[str, Any]) -> None:
    """Write a sealed file whole or not at all; until then it is a locked file ``.NAME.xxxxxxxx.partial`` beside it.

    It is not flushed to disk: what a power failure leaves of it is noticed by its digests.

    Raises:
        OSError: it cannot be written.
    """
    described = {"content_bytes": content.nbytes, "digest": xxhash.xxh3_128_hexdigest(content), "fields": dict(fields)}
    record = json.dumps(described).encode()
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX)
            file.write(content)
            file.write(record)
            file.write(_SEAL.pack(_MAGIC, len(record), xxhash.xxh3_128_digest(record)))
        partial.replace(path)
    except BaseException:
        if partial.exists():  # on a file system that cannot be written, removing nothing is an error too
            partial.unlink(missing_ok=True)
        raise


def read_record(file: FileIO) -> Record:
    """The record of a sealed file, which is whole; the content is not looked at.

    Raises:
        ValueError: it has none, or a damaged one.
        OSError: it cannot be read.
    """
    size = os.fstat(file.fileno()).st_size
    if size < _SEAL.size:
        raise ValueError("is cut off")
    file.seek(-_SEAL.size, os.SEEK_END)
    magic, record_bytes, digest = _SEAL.unpack(_read(file, _SEAL.size))
    content_bytes = size - _SEAL.size - record_bytes
    if magic != _MAGIC or content_bytes < 0:
        raise ValueError("has no seal")
    file.seek(content_bytes)
    text = _read(file, record_bytes)
    if xxhash.xxh3_128_digest(text) != digest:
        raise ValueError("has a damaged record")
    record = Record(**json.loads(text))
    if record.content_bytes != content_bytes:
        raise ValueError("is of another size than its record says")
    return record


def check_content(file: FileIO, record: Record) -> None:
    """Compare the content's digest with the record's, a piece at a time.

    Raises:
        ValueError: the content is damaged.
        OSError: it cannot be read.
    """
    digest, left = xxhash.xxh3_128(), record.content_bytes
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    file.seek(0)
    while left and (count := file.readinto(buffer[:left])):
        digest.update(buffer[:count])
        left -= count
    if left or digest.hexdigest() != record.digest:
        raise ValueError("is damaged: its content is not what was written")


def sweep(folder: Path, pattern: str) -> None:
    """Remove the ``.partial`` files that dead processes left.

    Args:
        folder: that was written into; it exists.
        pattern: glob of the names that were to be.

    Raises:
        OSError: one cannot be removed.
    """
    for partial in folder.glob(f".{pattern}.????????.partial"):
        if is_abandoned(partial):
            partial.unlink(missing_ok=True)


def _read(file: FileIO, count: int) -> bytes:
    """Exactly so many bytes."""
    content = file.read(count)
    if len(content or b"") != count:
        raise ValueError("is cut off")
    return content
