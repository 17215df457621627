"""Where the files of a job are written, each whole or not at all."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol


class OutputPlace(Protocol):
    """A folder for the files of one job. Only its writer changes it, see `sole_writer`."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    def sole_writer(self) -> AbstractContextManager[None]:
        """Be the one that writes here while the block runs; the folder is made, and what a killed writer left
        half-written is removed.

        Raises:
            OutputError: another process is, or nothing can be written here.
        """
        ...

    def check(self) -> None:
        """Look whether it could be written to, as far as that can be told without writing.

        Raises:
            OutputError: it could not.
        """
        ...

    def sizes(self) -> dict[str, int]:
        """The finished files and their bytes, by name; nothing where the folder is not there.

        Raises:
            OutputError: it cannot be listed.
        """
        ...

    def read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a finished file.

        Raises:
            OutputError: it cannot be read.
        """
        ...

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Write a file: when the block ends well it is there, whole, and stays there if the machine stops at that
        moment; otherwise nothing is.

        Raises:
            OutputError: it cannot be written.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a finished file, so that it stays removed.

        Raises:
            OutputError: it cannot be removed.
        """
        ...
