"""What the file beside a photo is called that tells of it: after the photo's stem, or after its whole name."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from blipvino.errors import OutputError
from blipvino.files.image_files import IMAGE_SUFFIXES


class Naming(StrEnum):
    """``photo.txt`` or ``photo.jpg.txt`` for ``photo.jpg``."""

    stem = "stem"
    full = "full"


RAW_AND_FILM_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw"}
    | {".avi", ".m4v", ".mov", ".mp4"}
)
"""Of files that cameras write beside a photo, under its stem; an XMP sidecar of that stem is theirs."""


class Siblings:
    """Which files of a folder share their stem. The last folder's names are kept: photos come folder by folder."""

    def __init__(self, suffixes: frozenset[str]) -> None:
        self._suffixes = suffixes
        self._folder: Path | None = None
        self._names: dict[str, list[str]] = {}

    def of(self, photo: Path) -> list[str]:
        """The names of the other files with the photo's stem and one of the suffixes.

        Raises:
            OutputError: the folder cannot be listed.
        """
        if photo.parent != self._folder:
            self._names = self._by_stem(photo.parent)
            self._folder = photo.parent
        return [name for name in self._names.get(photo.stem, ()) if name != photo.name]

    def _by_stem(self, folder: Path) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122  # a Path of each would take a second
                    if suffix.lower() in self._suffixes:
                        found.setdefault(stem, []).append(entry.name)
        except OSError as error:
            raise OutputError(f"{folder}: this folder cannot be listed ({error.strerror})") from error
        return {stem: sorted(names) for stem, names in found.items() if len(names) > 1}


class SidecarNames:
    """Names of one kind of sidecars.

    Args:
        suffix: of the sidecars, such as ".txt".
        naming: what they are called after.
        shared_by: suffixes of files that such a sidecar may belong to, where it is called after the stem.
    """

    def __init__(self, suffix: str, naming: Naming, shared_by: frozenset[str] = IMAGE_SUFFIXES) -> None:
        self._suffix = suffix
        self._naming = naming
        self._siblings = Siblings(shared_by)

    def path(self, photo: Path) -> Path:
        """The sidecar of a photo, be it there or not.

        Raises:
            OutputError: it would be that of another file, too.
        """
        if self._naming is Naming.full:
            return self.full(photo)
        others = self._siblings.of(photo)
        stem = self.stem(photo)
        if others:
            raise OutputError(
                f"{photo}: {stem.name} would be the sidecar of {others[0]}, too; rename one of them, or name sidecars "
                "after whole file names (--sidecar-name full)"
            )
        return stem

    def is_shared(self, photo: Path) -> bool:
        """Whether other files have the photo's stem.

        Raises:
            OutputError: the folder cannot be listed.
        """
        return bool(self._siblings.of(photo))

    def full(self, photo: Path) -> Path:
        """The sidecar that is called after the whole name."""
        return photo.with_name(photo.name + self._suffix)

    def stem(self, photo: Path) -> Path:
        """The sidecar that is called after the stem."""
        return photo.with_name(photo.stem + self._suffix)


def unreadable_sidecar(path: Path, error: OSError) -> OutputError:
    """What is said of something that stands where a sidecar would be, and cannot be read."""
    leads_nowhere = path.is_symlink() and isinstance(error, FileNotFoundError)
    reason = "a link that leads nowhere" if leads_nowhere else error.strerror
    return OutputError(f"{path}: cannot be read ({reason}); move it away to have a new one written")
