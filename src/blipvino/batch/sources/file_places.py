"""Files that hold many rows each, such as lists and tar shards: which ones a name stands for, and opening them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from blipvino.batch.remote_files import (
    INSTALL_BATCH,
    RemoteError,
    folder_of,
    is_url,
    joined,
    open_url,
    protocol,
    split_layers,
)
from blipvino.batch.sources.remote_listing import RemoteListing, is_url_pattern
from blipvino.errors import DataError
from blipvino.photos.listing import is_pattern, natural_key

_SEVERAL = re.compile(r"[{*?[]")


@dataclass(frozen=True)
class Place:
    """A file, here or elsewhere.

    Attributes:
        name: below what is common to all that were named together, with slashes.
        location: path or URL.
    """

    name: str
    location: str

    def __str__(self) -> str:
        """The location."""
        return self.location

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a URL."""
        return is_url(self.location)

    @property
    def folder(self) -> str:
        """Path or URL of the folder that it is in."""
        return folder_of(self.location) if self.is_remote else str(Path(self.location).parent)

    @property
    def suffix(self) -> str:
        """Of its name, in small letters."""
        return suffix_of(self.location)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open it to read from. It can be sought in.

        Raises:
            DataError: it cannot be read.
        """
        try:
            if self.is_remote:
                with open_url(self.location) as file:
                    yield file
            else:
                with Path(self.location).open("rb") as file:
                    yield file
        except RemoteError as error:
            raise DataError(str(error)) from error
        except OSError as error:
            raise DataError(f"{self.location}: cannot be read ({error.strerror or error})") from error


def list_places(text: str, suffixes: Sequence[str]) -> Iterator[Place]:
    """The files that a name stands for, in a fixed order.

    Args:
        text: path or URL of a file, a pattern, or several in braces as shells have it: ``shards/{000..127}.tar``.
        suffixes: that files have which a pattern finds, in small letters.

    Raises:
        DataError: there is none, or they cannot be listed.
    """
    root = _root(text)
    for each in _expanded(text):
        found = False
        for location in _matching(each) if is_url(each) or is_pattern(each) else [each]:
            if location == each or ends_in(location, suffixes):
                found = True
                yield Place(location.removeprefix(root), location)
        if not found:
            raise DataError(f"{each}: no file matches this pattern; expected some ending in {' or '.join(suffixes)}")


def suffix_of(text: str) -> str:
    """What a path, a URL or a pattern ends in, in small letters: ".jsonl"."""
    return PurePosixPath(_file_part(text)).suffix.lower()


def ends_in(text: str, suffixes: Sequence[str]) -> bool:
    """Whether a path, a URL or a pattern ends in one of these, in small letters."""
    return _file_part(text).lower().endswith(tuple(suffixes))


def absolute(text: str) -> str:
    """What is the same place in whatever folder a process is."""
    return text if is_url(text) else os.path.abspath(text)  # noqa: PTH100  # of a pattern, too


def is_below(location: str, folder: str) -> bool:
    """Whether a file is in a folder or below it; both are paths, or URLs as they were given."""
    if is_url(location) or is_url(folder):
        return location.startswith(f"{folder.rstrip('/')}/")
    return Path(location).resolve().is_relative_to(Path(folder).resolve())


def _file_part(text: str) -> str:
    """A path, or what names a file in a URL: no archive that it is in, no query."""
    if not is_url(text):
        return text
    part = split_layers(text)[0]
    return part.partition("?")[0] if protocol(text) in ("http", "https") else part


def _root(text: str) -> str:
    """The folder that is common to all files, with a slash; empty where that is the current one."""
    found = _SEVERAL.search(text)
    several = found is not None and not os.path.lexists(text)
    return text[: text.rfind("/", 0, found.start() if found is not None and several else None) + 1]


def _expanded(text: str) -> Iterator[str]:
    if "{" not in text or os.path.lexists(text):
        yield text
        return
    try:
        from braceexpand import braceexpand  # noqa: PLC0415  # of an extra
    except ImportError as error:
        raise DataError(f"{text}: braces need the `batch` extra ({error}); {INSTALL_BATCH}") from error
    try:
        yield from braceexpand(text)
    except ValueError as error:
        raise DataError(f"{text}: the braces do not match; expected such as {{000..127}}") from error


def _matching(pattern: str) -> Iterator[str]:
    if not is_url(pattern):
        yield from sorted(glob.iglob(pattern, recursive=True), key=natural_key)  # noqa: PTH207  # as in listing
        return
    if not is_url_pattern(pattern):
        yield pattern
        return
    listing = RemoteListing(pattern)
    try:
        for name in listing.names():
            yield joined(listing.root, name)
    except RemoteError as error:
        raise DataError(str(error)) from error
