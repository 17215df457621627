"""What is below a URL: the names of files, found as they are asked for, in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from blipvino.batch.remote_files import RemoteError, file_system, is_bucket, protocol, remote_error, split_layers
from blipvino.photos.listing import is_passed_over, natural_key

_MAGIC = re.compile(r"[*?[]")
_MAGIC_OF_WEB = re.compile(r"[*[]")  # there, a question mark begins a query


def is_url_pattern(url: str) -> bool:
    """Whether a URL has wildcards."""
    return _first_magic(url) is not None


@dataclass(frozen=True)
class RemoteListing:
    """The files that a URL names: itself, those below it, or those that match it.

    Hidden files and folders, and those that systems fill with thumbnails, are passed over, unless they are named.

    Attributes:
        url: of a file, or of a folder; or a pattern (``*``, ``?``, ``[…]``, ``**``), of files or of folders.
    """

    url: str

    @property
    def root(self) -> str:
        """The folder that names are relative to; of a single file, its own URL."""
        return self._parts[0]

    def names(self) -> Iterator[str]:
        """Names below the root, with slashes. Of a single file that is one, and empty.

        Of buckets no more than a page of names is held, elsewhere one folder's.

        Raises:
            RemoteError: there is nothing of this name, or it cannot be listed.
        """
        system, root = file_system(self.root)
        root = root.rstrip("/")
        try:
            if not is_url_pattern(self.url) and system.isfile(root):
                yield ""
                return
            listed = _keys(system, root, self._start) if is_bucket(self.url) else _walked(system, root)
            for name in listed:
                if not is_passed_over(PurePosixPath(name)) and self._matches(name):
                    yield name
        except RemoteError:
            raise
        except Exception as error:  # each file system has errors of its own
            raise remote_error(self.url, error) from error

    @property
    def _parts(self) -> tuple[str, str]:
        """The root, and the pattern that names below it match; an empty one is matched by all."""
        at = _first_magic(self.url)
        if at is None:
            return self.url, ""
        place, archive = split_layers(self.url)
        cut = max(place.rindex("/", 0, at) + 1, place.index("://") + 3)
        return place[:cut] + archive, place[cut:]

    @property
    def _start(self) -> str:
        """What all names begin with."""
        return _MAGIC.split(self._parts[1])[0] if is_url_pattern(self.url) else ""

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        if not is_url_pattern(self.url):
            return None
        from fsspec.utils import glob_translate  # noqa: PLC0415  # of an extra

        return re.compile(glob_translate(self._parts[1]))

    def _matches(self, name: str) -> bool:
        """Whether a file matches, or a folder that it is in."""
        if self._pattern is None or self._pattern.match(name):
            return True
        return any(self._pattern.match(str(folder)) for folder in PurePosixPath(name).parents)


def _first_magic(url: str) -> int | None:
    found = (_MAGIC_OF_WEB if protocol(url) in ("http", "https") else _MAGIC).search(url, url.find("://") + 3)
    return None if found is None else found.start()


def _keys(system: Any, root: str, start: str) -> Iterator[str]:
    """Names of objects, page by page: `find` of s3fs holds them all, with a kilobyte on each."""
    bucket, _, folder = root.partition("/")
    if not bucket:
        raise FileNotFoundError("no bucket is named")
    below = f"{folder}/" if folder else ""
    found, token = False, dict[str, str]()
    while True:
        page = system.call_s3("list_objects_v2", Bucket=bucket, Prefix=below + start, **token, **system.req_kw)
        for entry in page.get("Contents", ()):
            found = True
            if not entry["Key"].endswith("/"):  # which stands for an empty folder
                yield entry["Key"].removeprefix(below)
        if not page.get("IsTruncated"):
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    if folder and not found and not start:
        raise FileNotFoundError(root)


def _walked(system: Any, root: str) -> Iterator[str]:
    """Names of files, folder by folder, in natural order."""
    for folder, folders, files in system.walk(root, on_error="raise"):
        folders[:] = sorted((name for name in folders if not is_passed_over(PurePosixPath(name))), key=natural_key)
        below = folder.rstrip("/").removeprefix(root).lstrip("/")
        for name in sorted(files, key=natural_key):
            yield f"{below}/{name}" if below else name
