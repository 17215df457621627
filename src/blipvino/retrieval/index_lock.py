"""One writer of an index at a time; who comes second is told of the first."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from blipvino.errors import RetrievalError

_LOCK, _HOLDER = "writer.lock", "writer.json"


@contextmanager
def writing(index: Path) -> Iterator[None]:
    """Be the one that writes an index while the block runs. The system ends it when the process ends, however it ends.

    Raises:
        RetrievalError: another process is writing it, or nobody can.
    """
    lock = FileLock(index / _LOCK, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise RetrievalError(f"{index}: {_holder(index)} is writing it; wait until that has ended") from error
    except (OSError, NotImplementedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RetrievalError(f"{index}: cannot be locked to be written ({reason}); put it on another disk") from error
    try:
        _say_who(index)
        yield
    finally:
        (index / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _say_who(index: Path) -> None:
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    holder = {"process": os.getpid(), "host": platform.node(), "since": started}
    # Whoever reads a part of it says "another process", which is as true.
    (index / _HOLDER).write_text(json.dumps(holder), encoding="utf-8")


def _holder(index: Path) -> str:
    try:
        holder = json.loads((index / _HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['host']}, since {holder['since']},"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
