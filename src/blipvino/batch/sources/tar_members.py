"""Tar files read as streams: member by member, each once, and no end but the one that was written."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Literal

from blipvino.errors import DataError

_DAMAGE = (tarfile.TarError, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
_CUT_OFF = ("empty header", "truncated header", "unexpected end of data", "empty file")


class _CheckedHeader(tarfile.TarInfo):
    """The header of a member. Python's `tarfile` takes a damaged one for the end of the file; here it is an error."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> _CheckedHeader:
        """The next header."""
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


class TarMembers(Iterator[tarfile.TarInfo]):
    """The members of a tar file, compressed or not.

    Args:
        file: to read from, from its beginning.
        name: what errors call it.
        seekable: whether what is not asked for is passed over without being read.

    Raises:
        DataError: it is no tar file.
    """

    def __init__(self, file: IO[bytes], name: str, *, seekable: bool) -> None:
        self._name = name
        self._last: str | None = None
        try:
            mode: Literal["r:*", "r|*"] = "r:*" if seekable else "r|*"
            self._tar = tarfile.open(fileobj=file, mode=mode, tarinfo=_CheckedHeader)  # noqa: SIM115  # as its file
        except _DAMAGE as error:
            raise self._broken(error) from error

    def __next__(self) -> tarfile.TarInfo:
        """The next member."""
        try:
            member = self._tar.next()
        except _DAMAGE as error:
            raise self._broken(error) from error
        self._tar.members.clear()  # type: ignore[attr-defined]  # which are kept for a look-up by name
        if member is None:
            raise StopIteration
        self._last = member.name
        return member

    def read(self, member: tarfile.TarInfo) -> bytes:
        """The bytes of the member that was given last.

        Raises:
            DataError: the tar file is cut off, or damaged.
        """
        try:
            file = self._tar.extractfile(member)
            return b"" if file is None else file.read()
        except _DAMAGE as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> DataError:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if self._last is None:
            return DataError(
                f"{self._name}: is no tar file, or an empty or damaged one ({reason}); expected tar shards"
            )
        problem = "is cut off" if reason in _CUT_OFF else f"is damaged ({reason})"
        return DataError(f"{self._name}: this tar file {problem} after {self._last}; fetch or make it again")
