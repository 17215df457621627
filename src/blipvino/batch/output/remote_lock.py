"""One writer at a time where nothing can be locked: a file that says who writes, and is kept fresh while he lives."""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blipvino.errors import OutputError

BEAT_SECONDS = 5.0
"""After which a lock is renewed."""
LEASE_SECONDS = 30.0
"""A lock that was not renewed for so long is nobody's: its machine was lost, or the network to it."""
_LOOKS_PER_BEAT = 4


def _system() -> str | None:
    """What process ids are unique in, where Linux tells."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


@dataclass(frozen=True)
class _Holder:
    """Who writes.

    Attributes:
        token: nobody else's.
        process: its id.
        host: its machine's name.
        system: tells apart machines, their starts and their containers: within one of them process ids are unique;
            None where that cannot be told.
        beat: is counted on while it lives.
    """

    token: str = field(default_factory=lambda: secrets.token_hex(16))
    process: int = field(default_factory=os.getpid)
    host: str = field(default_factory=platform.node)
    system: str | None = field(default_factory=_system)
    beat: int = 0

    @property
    def is_dead(self) -> bool:
        """Whether that process was one of ours and has ended. If not, time tells."""
        if self.system is None or self.system != _system() or self.process == os.getpid():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it is another user's
            return False
        return False


class RemoteLock:
    """The lock of a folder behind a URL.

    Args:
        system: the file system.
        path: of the lock's file in it.
        name: what errors call the folder.
    """

    def __init__(self, system: Any, path: str, name: str) -> None:
        self._system = system
        self._path = path
        self._name = name
        self._mine = _Holder()
        self._ended = threading.Event()
        self._renewing = threading.Lock()  # not every file system has either the old content or the new one

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it while the block runs.

        Raises:
            OutputError: another process does.
        """
        self._acquire()
        self._ended.clear()
        renewing = threading.Thread(target=self._renew, name="blipvino-lock", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._ended.set()
            renewing.join()
            with suppress(Exception):  # what is left of it is nobody's before long
                if self._is_mine():
                    self._system.rm_file(self._path)

    def check(self) -> None:
        """Make sure that nobody has taken it, as happens to a process that stood still for longer than the lease.

        Raises:
            OutputError: somebody has.
        """
        with self._renewing:
            holder = self._holder()
        if holder is None or holder.token != self._mine.token:
            raise OutputError(f"{self._name}: {_who(holder)} has taken over, and this one has stopped")

    def _acquire(self) -> None:
        while not self._created():
            first, since = self._holder(), time.monotonic()
            while (now := self._holder()) == first and now is not None:
                if now.is_dead or time.monotonic() - since > LEASE_SECONDS:
                    with suppress(FileNotFoundError):
                        self._system.rm_file(self._path)
                    break
                time.sleep(BEAT_SECONDS / _LOOKS_PER_BEAT)
            if now is not None and now != first:
                raise OutputError(f"{self._name}: {_who(now)} is writing it; wait until that has ended")

    def _created(self) -> bool:
        try:
            self._system.pipe_file(self._path, _encoded(self._mine), mode="create")
        except FileExistsError:
            return False
        return True

    def _renew(self) -> None:
        beat = 0
        while not self._ended.wait(BEAT_SECONDS):
            beat += 1
            # Of what fails here whoever writes is told when he looks.
            with suppress(Exception), self._renewing:
                if self._is_mine():
                    renewed = _Holder(self._mine.token, beat=beat)
                    self._system.pipe_file(self._path, _encoded(renewed))

    def _is_mine(self) -> bool:
        holder = self._holder()
        return holder is not None and holder.token == self._mine.token

    def _holder(self) -> _Holder | None:
        try:
            return _Holder(**json.loads(self._system.cat_file(self._path)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # nobody's that we know of
            return _Holder(token="", system=None)


def _encoded(holder: _Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()


def _who(holder: _Holder | None) -> str:
    if holder is None or not holder.token:
        return "another process"
    return f"process {holder.process} on {holder.host}"
