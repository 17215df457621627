"""Which images files, folders, patterns and standard input name: one after another, in natural order, each once."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from blipvino.errors import ImageError, InputError
from blipvino.files.image_files import IMAGE_SUFFIXES
from blipvino.files.standard_input import standard_input_lines

STANDARD_INPUT = "-"
"""Stands for the paths that standard input has, one a line."""
_SIDECARS = frozenset({".txt", ".xmp"})
_THUMBNAIL_FOLDERS = frozenset({"@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", "lost+found"})
"""Which systems and network drives fill by themselves, with thumbnails and with what was deleted."""
_EXPECTED = f"expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}"

_FolderId = tuple[int, int]
_NOWHERE: _FolderId = (0, 0)


@dataclass(frozen=True)
class Listed:
    """An image that was asked for.

    Attributes:
        path: of the file, below the folder as it was given.
        error: why there is nothing to read, where the listing tells already.
    """

    path: Path
    error: ImageError | None = None


def list_photos(inputs: Iterable[str], lines: Iterable[bytes] | None = None) -> Iterator[Listed]:
    """List the images that are named, as they are asked for: no more than one folder's names are held.

    A file is listed whatever it is called, but for sidecars of images. Of a folder and its subfolders come the files
    with an image's suffix, first its own and then its subfolders', both in natural order (2 before 10); hidden files
    and folders, and those that systems fill with thumbnails, are passed over. Links are followed, into each folder
    once. A pattern (``*``, ``?``, ``[…]``, ``**``) that the shell left alone is resolved, unless a file has that very
    name. What is named again, in whatever way, is listed once.

    Args:
        inputs: files, folders, patterns, and `STANDARD_INPUT`.
        lines: of standard input, each a file or a folder; by default the process's.

    Returns:
        Images; in place of a folder that cannot be read, or of a name behind which no image is, an error.

    Raises:
        InputError: a name is empty, as that of a shell's variable that is not set, and would be the working folder's.
    """
    named = list(inputs)
    if "" in named:
        raise InputError('the name of an image is empty (""); expected a file, a folder, a pattern, or -')
    return _listed(named, lines)


def _listed(inputs: Iterable[str], lines: Iterable[bytes] | None) -> Iterator[Listed]:
    listing = _Listing()
    for text in inputs:
        if text == STANDARD_INPUT:
            for line in standard_input_lines() if lines is None else lines:
                yield from listing.line(line)
        elif is_pattern(text):
            yield from listing.matching(text)
        else:
            yield from listing.named(Path(text))


def is_pattern(text: str) -> bool:
    """Whether a name has to be resolved: it has wildcards, and is not the name of a file."""
    return glob.has_magic(text) and not os.path.lexists(text)


def names_one_file(inputs: Sequence[str]) -> bool:
    """Whether a single file is asked for by its name, be it there or not."""
    return (
        len(inputs) == 1
        and inputs[0] != STANDARD_INPUT
        and not is_pattern(inputs[0])
        and not _is_folder(Path(inputs[0]))
    )


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts names as people do: numbers by their value, letters whatever their case."""
    parts: list[str | int] = list(re.split(r"([0-9]+)", name.casefold()))
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return parts, name


class _Listing:
    """Remembers what was listed: folders as a whole, and single files."""

    def __init__(self) -> None:
        self._folders: set[_FolderId] = set()
        self._files: set[tuple[_FolderId, str]] = set()
        self._met_again = False

    def named(self, path: Path) -> Iterator[Listed]:
        """A file, or the images of a folder."""
        if _is_folder(path):
            yield from self._folder(path)
        elif not _is_sidecar(path):
            yield from self._file(path)

    def line(self, line: bytes) -> Iterator[Listed]:
        """What a line of standard input names; nothing, if it is empty."""
        name = os.fsdecode(line.rstrip(b"\r\n"))
        if "\0" in name:
            yield Listed(
                Path(name), ImageError(f"{name}: has a NUL in it; give one path a line (find without -print0)")
            )
        elif name:
            yield from self.named(Path(name))

    def matching(self, pattern: str) -> Iterator[Listed]:
        """The images that a pattern matches, and those of the folders that it matches."""
        found = False
        matches = glob.iglob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
        for path in map(Path, sorted(matches, key=natural_key)):
            if _THUMBNAIL_FOLDERS.intersection(path.parts) - set(Path(pattern).parts):
                continue
            if _is_folder(path):
                for folder, listed in self._tree(path):
                    found = True
                    yield from self._unless_known(folder, listed)
            elif has_image_suffix(path.name):
                found = True
                yield from self._file(path)
        if not found:
            yield Listed(Path(pattern), ImageError(f"{pattern}: no image matches this pattern; {_EXPECTED}"))

    def _folder(self, root: Path) -> Iterator[Listed]:
        found = self._met_again = False
        for folder, listed in self._tree(root):
            found = True
            yield from self._unless_known(folder, listed)
        if not found and not self._met_again:
            yield Listed(root, ImageError(f"{root}: no images in it; {_EXPECTED}"))

    def _tree(self, root: Path) -> Iterator[tuple[_FolderId, Listed]]:
        """All images below a folder that were not met on another way, with the folder that each is in."""
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            try:
                identity = _identity(folder)
                if identity in self._folders:
                    self._met_again = True
                    continue
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: natural_key(entry.name))
            except OSError as error:
                problem = ImageError(f"{folder}: this folder cannot be listed ({error.strerror}); allow it to be read")
                yield _NOWHERE, Listed(folder, problem)
                continue
            self._folders.add(identity)
            folders, images = [], []
            for entry in found:
                if entry.name.startswith("."):
                    continue
                if _leads_to_folder(entry):
                    folders.append(folder / entry.name)
                elif has_image_suffix(entry.name):
                    images.append(entry.name)
            waiting += [path for path in reversed(folders) if path.name not in _THUMBNAIL_FOLDERS]
            for name in images:
                yield identity, Listed(folder / name)

    def _unless_known(self, folder: _FolderId, listed: Listed) -> Iterator[Listed]:
        if (folder, listed.path.name) not in self._files:
            yield listed

    def _file(self, path: Path) -> Iterator[Listed]:
        try:
            key = (_identity(path.parent), path.name)
        except (OSError, ValueError):  # there is no such folder: the image is missing, which is said once
            key = (_NOWHERE, str(path))
        listed_with_folder = key[0] in self._folders and has_image_suffix(path.name) and not path.name.startswith(".")
        if key not in self._files and not listed_with_folder:
            self._files.add(key)
            yield Listed(path)


def has_image_suffix(name: str) -> bool:
    """Whether a name ends as those of image files do."""
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def is_passed_over(path: PurePath) -> bool:
    """Whether a path below a folder is hidden, or among what systems fill by themselves."""
    return any(part.startswith(".") or part in _THUMBNAIL_FOLDERS for part in path.parts)


def _identity(folder: Path) -> _FolderId:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):  # not to be looked at, or no path at all
        return False


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_sidecar(path: Path) -> bool:
    """Whether a file lies beside the image that it tells of: shells put these among the images of a folder."""
    if path.suffix.lower() not in _SIDECARS:
        return False
    bare = path.with_suffix("")
    suffixes = [""] if has_image_suffix(bare.name) else [*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES)]
    return any(os.path.lexists(f"{bare}{suffix}") for suffix in suffixes)
