"""Half-written files: hidden and locked while their writer lives, so that what a killed one left can be told."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_SETTLED_SECONDS = 2  # a file so old is locked by its writer, if that lives
_ABANDONED_SECONDS = 3600  # where files cannot be locked


@contextmanager
def new_partial(folder: Path) -> Iterator[tuple[Path, FileIO]]:
    """Make a file to write into; when the block ends it is gone, unless it was moved.

    Yields:
        Its path, ``.blipvino-TOKEN.partial``, and the open file.

    Raises:
        OSError: it cannot be made.
    """
    path = folder / f".blipvino-{secrets.token_hex(8)}.partial"
    try:
        with path.open("xb", buffering=0) as file:
            if sys.platform != "win32":
                with suppress(OSError):  # of a file system without locks: there nothing is swept
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def sweep_partials(folder: Path) -> None:
    """Remove what killed processes left of `new_partial` in a folder. What cannot be removed is left.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(".blipvino-")]
    for name in names:
        path = folder / name
        with suppress(OSError):
            if path.suffix == ".partial" and is_abandoned(path):
                path.unlink()


def is_abandoned(partial: Path) -> bool:
    """Whether the process that wrote a locked file has ended.

    Raises:
        OSError: the file cannot be looked at.
    """
    try:
        age = abs(time.time() - partial.stat().st_mtime)
        if sys.platform == "win32":
            return age > _ABANDONED_SECONDS
        if age < _SETTLED_SECONDS:
            return False
        with partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):  # it is in place by now, or being written
        return False
    return True
