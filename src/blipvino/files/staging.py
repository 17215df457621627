"""Writing under a hidden name beside the target, and tidying up after processes that were killed while they did.

A writer of ``NAME`` has a token, and with it ``.NAME.TOKEN.partial`` to write into, ``.NAME.TOKEN.replaced`` for what
it moves out of the way, and ``.NAME.TOKEN.lock``, which it holds while it lives: the system lets go of a lock when its
holder ends, however it ends. So whoever writes ``NAME`` next can tell what was left from what is being written.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Of file systems without locks: there one writes without, and nothing is tidied up."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """The hidden names of one writer.

    Attributes:
        target: what is to be written.
        token: hexadecimal digits that no other writer has.
    """

    target: Path
    token: str

    @classmethod
    def beside(cls, target: Path) -> Stage:
        """A new writer's."""
        return cls(target, secrets.token_hex(4))

    @property
    def partial(self) -> Path:
        """The file or folder to write into."""
        return self._named("partial")

    @property
    def replaced(self) -> Path:
        """Where the target's predecessor goes for the moment in which it is replaced."""
        return self._named("replaced")

    def owns(self, path: Path) -> bool:
        """Whether a path is one of its names, or below one."""
        return any(part.startswith(f".{self.target.name}.{self.token}.") for part in path.parts)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the names while the block runs, after tidying up what killed writers of the same target left behind.

        At the end nothing is left of them: a predecessor whose successor did not come is moved back.

        Raises:
            OSError: nothing can be written there.
        """
        sweep(self.target)
        if not self.target.parent.is_dir():  # filelock would make it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.target.parent))
        lock = self._lock()
        try:  # from the first moment on: a signal may come when the lock's file is just there
            try:
                lock.acquire(blocking=False)  # nobody else has this token
            except Timeout as error:  # filelock would try again for ever where no file can be made, as below /proc
                raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(self.target.parent)) from error
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            yield
        finally:
            try:
                self._tidy([self.replaced, self.partial])
            finally:
                self._unlock(lock)

    def tidy_if_left(self, names: Iterable[Path]) -> None:
        """Tidy up, if no process holds these names any more.

        Raises:
            OSError: something cannot be locked or moved.
        """
        lock = self._lock()
        try:
            lock.acquire(blocking=False)
        except Timeout:  # somebody is writing
            return
        try:
            self._tidy(names)
        finally:
            self._unlock(lock)

    def _tidy(self, names: Iterable[Path]) -> None:
        if self.replaced.exists() and _is_free(self.target):
            if self.target.exists():
                self.target.rmdir()
            self.replaced.rename(self.target)
            _log.info("%s: moved back, since what was to replace it did not come", self.target)
        for path in names:
            _remove(path)

    def _lock(self) -> FileLock:
        return FileLock(self._named("lock"), thread_local=False)

    def _unlock(self, lock: FileLock) -> None:
        if os.name == "posix":  # on Windows filelock removes the file itself
            self._named("lock").unlink(missing_ok=True)  # while it is held: a token is never used twice
        lock.release()

    def _named(self, suffix: str) -> Path:
        return self.target.with_name(f".{self.target.name}.{self.token}.{suffix}")


def sweep(target: Path) -> None:
    """Tidy up what killed writers of a target left beside it; what living ones are writing is not touched.

    A predecessor that was moved aside and not replaced is moved back. What cannot be removed is left.
    """
    found: dict[str, list[Path]] = {}
    for path in _hidden(target):
        found.setdefault(path.name.removeprefix(f".{target.name}.")[:8], []).append(path)
    # If several were moved aside, the one that was so last is moved back.
    for token in sorted(found, key=lambda token: max(map(_changed, found[token])), reverse=True):
        try:
            Stage(target, token).tidy_if_left(found[token])
        except OSError as error:
            _log.info("%s: left behind, since it cannot be removed (%s)", found[token][0], error)


def moved_aside(target: Path) -> Path | None:
    """What a killed writer moved out of the way and did not replace, if there is such a thing."""
    return next((path for path in _hidden(target) if path.name.endswith(".replaced")), None)


def _hidden(target: Path) -> list[Path]:
    """All hidden names of writers of a target; a search's folder is named after the folder that it works for."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.(partial|partial\.search\..+|replaced|lock)")
    try:
        return [path for path in target.parent.iterdir() if pattern.fullmatch(path.name)]
    except OSError:  # no such folder, or none that may be listed: the writer says so, if there is one
        return []


def _is_free(target: Path) -> bool:
    return not target.exists() or (target.is_dir() and not any(target.iterdir()))


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_ctime
    except FileNotFoundError:  # its writer has just ended
        return 0.0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
