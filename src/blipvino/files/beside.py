"""Files among other people's: never half-written, never in place of what somebody else put there."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from blipvino.errors import OutputError
from blipvino.files.partials import new_partial, sweep_partials

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""Of file systems without hard links."""


@dataclass(frozen=True)
class Snapshot:
    """A file as it was read.

    Attributes:
        path: of the file itself, links followed.
        content: all of it.
        status: what the system said of it before it was read.
    """

    path: Path
    content: bytes
    status: os.stat_result

    @property
    def unchanged(self) -> bool:
        """Whether the file is still the same, as far as its times and its size tell."""
        try:
            return _identity(self.path.stat()) == _identity(self.status)
        except OSError:
            return False


def take_snapshot(path: Path) -> Snapshot:
    """Read a file, so that it can be replaced.

    Raises:
        OSError: it cannot be read, or is none: a pipe would be waited for.
    """
    try:
        real = path.resolve()
        with open(real, "rb", opener=_open_at_once) as file:  # Path.open takes no opener
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "no regular file")
            return Snapshot(real, file.read(), status)
    except ValueError as error:  # a character that no path has
        raise OSError(errno.EINVAL, str(error)) from error


class FileWriter:
    """Writes files whole or not at all, flushed to disk, and removes what killed writers left in the same folders."""

    def __init__(self) -> None:
        self._swept: set[Path] = set()

    def create(self, path: Path, content: bytes) -> bool:
        """Write a file where there is none.

        Returns:
            False, with nothing written, where there is one.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self.visit(path.parent)
            with new_partial(path.parent) as (partial, file):
                _write(file.fileno(), content)
                os.fsync(file.fileno())
                try:
                    os.link(partial, path, follow_symlinks=False)
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
                    if os.path.lexists(path):
                        return False
                    partial.rename(path)
        except FileExistsError:
            return False
        except OSError as error:
            raise _refused(path, error) from error
        return True

    def replace(self, old: Snapshot, content: bytes, *, keep_mtime: bool = False) -> None:
        """Write a file in place of another, with its permissions, owner and extended attributes.

        Args:
            old: what is replaced; if it is no longer what it was, it stays.
            content: of the new file.
            keep_mtime: whether the file keeps its time of modification.

        Raises:
            OutputError: it cannot be written, or was changed meanwhile.
        """
        try:
            if old.unchanged and not os.access(old.path, os.W_OK):
                raise PermissionError(errno.EACCES, "it is write-protected")
            self.visit(old.path.parent)
            with new_partial(old.path.parent) as (partial, file):
                _write(file.fileno(), content)
                if old.unchanged:
                    _take_over(old, partial, keep_mtime)
                os.fsync(file.fileno())
                if not old.unchanged:
                    raise OutputError(f"{old.path}: was changed by another program meanwhile, and is left as it is")
                partial.replace(old.path)
        except OSError as error:
            raise _refused(old.path, error) from error

    def visit(self, folder: Path) -> None:
        """Remove what killed writers left in a folder, when it is visited for the first time.

        Raises:
            OSError: the folder cannot be read.
        """
        if folder not in self._swept:
            self._swept.add(folder)
            sweep_partials(folder)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _take_over(old: Snapshot, partial: Path, keep_mtime: bool) -> None:
    """Give a new file what belongs to the old one beside its content."""
    now = partial.stat()
    if hasattr(os, "chown") and (now.st_uid, now.st_gid) != (old.status.st_uid, old.status.st_gid):
        os.chown(partial, old.status.st_uid, old.status.st_gid)
    shutil.copystat(old.path, partial)
    if not keep_mtime:
        os.utime(partial, ns=(old.status.st_atime_ns, now.st_mtime_ns))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _refused(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written ({error.strerror or error}); check its permissions and the disk")
