"""HEIC and AVIF files, which not every Pillow reads: they are told by their first bytes, and their reader is found."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

INSTALL_HEIF = "pip install 'blipvino[heif]'"
_HEAD_BYTES = 64
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def heif_kind(source: Path | bytes) -> str | None:
    """What a file of the HEIF family is called: "HEIC", "AVIF" or "HEIF"; None of any other file.

    Args:
        source: the path of a file, or the bytes of one.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    else:
        head = source[:_HEAD_BYTES]
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIC_BRANDS:
        return "HEIC"
    return "HEIF" if brands & {b"mif1", b"msf1"} else None


@functools.cache
def heif_is_readable() -> bool:
    """Have Pillow read HEIC from now on, where pillow-heif is installed."""
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return False
    return True
