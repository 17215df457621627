"""API keys, from a file or the environment; what is kept of them are digests."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from blipvino.errors import InputError

KEYS_VARIABLE = "BLIPVINO_API_KEYS"
_LEAST_CHARACTERS = 16


def key_digests(file: Path | None) -> tuple[bytes, ...]:
    """SHA-256 digests of all keys of a file, one a line, and of the environment variable, where blanks or commas part
    them.

    Raises:
        InputError: the file cannot be read or has none, or a key is too short to be one.
    """
    keys = os.environ.get(KEYS_VARIABLE, "").replace(",", " ").split()
    if file is not None:
        of_file = _keys_of(file)
        if not of_file:
            raise InputError(f"{file}: has no API key; write one a line")
        keys += of_file
    if any(len(key) < _LEAST_CHARACTERS or not key.isascii() or not key.isprintable() for key in keys):
        raise InputError(
            f"an API key has {_LEAST_CHARACTERS} or more printable characters of ASCII, such as `openssl rand -hex 24` "
            "prints; one that was given is another"
        )
    return tuple(hashlib.sha256(key.encode()).digest() for key in keys)


def _keys_of(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error}); expected API keys, one a line") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
