"""One writer of a folder at a time; who comes second is told of the first."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from blipvino.errors import BlipvinoError


@contextmanager
def one_writer(folder: Path, lock_name: str, holder_name: str, refusal: type[BlipvinoError]) -> Iterator[None]:
    """Be the one that writes a folder while the block runs. The system ends it when the process ends, however it ends.

    Args:
        folder: that is there.
        lock_name: of the file in it that is locked.
        holder_name: of the file in it that says who writes, while somebody does.
        refusal: what is raised.

    Raises:
        BlipvinoError: another process is writing it, or nobody can.
    """
    lock = FileLock(folder / lock_name, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        who = _holder(folder / holder_name)
        raise refusal(f"{folder}: {who} is writing it; wait until that has ended") from error
    except (OSError, NotImplementedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        way_out = "allow it to be written" if isinstance(error, PermissionError) else "put it on another disk"
        raise refusal(f"{folder}: cannot be locked to be written ({reason}); {way_out}") from error
    try:
        try:
            _say_who(folder / holder_name)
        except OSError as error:
            raise refusal(f"{folder}: cannot be written ({error.strerror or error}); check the disk") from error
        yield
    finally:
        (folder / holder_name).unlink(missing_ok=True)
        lock.release()


def _say_who(place: Path) -> None:
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    holder = {"process": os.getpid(), "host": platform.node(), "since": started}
    # Whoever reads a part of it says "another process", which is as true.
    place.write_text(json.dumps(holder), encoding="utf-8")


def _holder(place: Path) -> str:
    try:
        holder = json.loads(place.read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['host']}, since {holder['since']},"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
