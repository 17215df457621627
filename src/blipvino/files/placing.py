"""Putting a finished folder in its place: flushed to disk, then renamed, whoever else writes the same one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from blipvino.files.staging import Stage


def is_taken(target: Path) -> bool:
    """Whether something is there: a file, or a folder that is not empty."""
    return target.exists() and not (target.is_dir() and not any(target.iterdir()))


def flush(paths: Iterable[Path]) -> None:
    """Wait until files and folders are on disk, so that a crash cannot leave a record without what it lists.

    Raises:
        OSError: the disk is full, or fails.
    """
    for path in paths:
        if path.is_dir() and os.name != "posix":  # other systems do not open folders
            continue
        descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def place(stage: Stage, check_replaceable: Callable[[], None]) -> None:
    """Rename a writer's folder to its target. What was there goes to ``stage.replaced``, to be removed by the caller.

    Args:
        stage: with the folder, finished and flushed. It moves the predecessor back if the renaming fails.
        check_replaceable: raises where what is at the target now must stay: another process may have put it there.

    Raises:
        OSError: it cannot be renamed.
    """
    target = stage.target
    while not _renamed(stage.partial, target):
        if is_taken(target):
            check_replaceable()
        if stage.replaced.exists():  # another process was faster, after our predecessor was moved aside
            shutil.rmtree(stage.replaced)
        with suppress(FileNotFoundError):  # another process moves it aside, too
            target.rename(stage.replaced)
    flush([target.parent])


def _renamed(folder: Path, target: Path) -> bool:
    """Rename a folder, if its new name is free."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False
    return True
