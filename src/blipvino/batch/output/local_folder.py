"""The files of a job in a folder of this machine, or of a drive that it mounts."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from blipvino.errors import OutputError
from blipvino.files.one_writer import one_writer
from blipvino.files.partials import new_partial
from blipvino.files.placing import flush

_LOCK, _HOLDER = "_writer.lock", "_writer.json"


@dataclass(frozen=True)
class LocalFolder:
    """A folder. See `OutputPlace`.

    Attributes:
        folder: its path.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.folder)

    @contextmanager
    def sole_writer(self) -> Iterator[None]:
        """Be the one that writes here while the block runs. The system ends it when the process ends, however it ends.

        Raises:
            OutputError: another process is, or nothing can be written here.
        """
        with self._refusals(self.folder, "made"):
            new = [self.folder, *self.folder.parents]
            new = [folder for folder in new if not folder.exists()]
            self.folder.mkdir(parents=True, exist_ok=True)
            flush(folder.parent for folder in new)
        with one_writer(self.folder, _LOCK, _HOLDER, OutputError):
            with self._refusals(self.folder, "written"):
                for left in self.folder.glob(".blipvino-*.partial"):
                    left.unlink(missing_ok=True)  # nobody else writes here
            yield

    def check(self) -> None:
        """Look whether files can be made in it, or in what it will be made in.

        Raises:
            OutputError: they cannot.
        """
        there = next((folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists()), None)
        if there is None or not there.is_dir():
            raise OutputError(f"{self.folder}: {there or 'nothing above it'} is no folder; choose another --output")
        if not os.access(there, os.W_OK | os.X_OK):
            raise OutputError(f"{self.folder}: nothing can be written in {there}; choose another --output")

    def sizes(self) -> dict[str, int]:
        """The finished files and their bytes, by name."""
        with self._refusals(self.folder, "listed"):
            if not self.folder.is_dir():
                return {}
            found = [path for path in self.folder.iterdir() if path.is_file() and not path.name.startswith(".")]
            return {path.name: path.stat().st_size for path in found if path.name not in (_LOCK, _HOLDER)}

    def folders(self) -> set[str]:
        """The names of folders in it."""
        with self._refusals(self.folder, "listed"):
            return {path.name for path in self.folder.iterdir() if path.is_dir()} if self.folder.is_dir() else set()

    def below(self, name: str) -> LocalFolder:
        """A folder in it."""
        return LocalFolder(self.folder / name)

    @contextmanager
    def read(self, name: str) -> Iterator[BinaryIO]:
        """Open a finished file."""
        with self._refusals(self.folder / name, "read"), (self.folder / name).open("rb") as file:
            yield file

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """Write a file under a hidden name, flush it, rename it, flush the folder."""
        path = self.folder / name
        with self._refusals(path, "written"), new_partial(self.folder) as (partial, raw):
            file = io.BufferedWriter(raw)
            yield file
            file.flush()
            file.detach()
            flush([partial])
            partial.replace(path)
            flush([self.folder])

    def remove(self, name: str) -> None:
        """Remove a finished file."""
        with self._refusals(self.folder / name, "removed"):
            (self.folder / name).unlink()
            flush([self.folder])

    @contextmanager
    def _refusals(self, path: Path, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{path}: cannot be {done} ({error.strerror or error}); check the disk") from error
