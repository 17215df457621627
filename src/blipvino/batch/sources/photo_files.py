"""Image files of a folder and all below it, or those that match a pattern."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.sources.listed_rows import ListedRows, cut_rows
from blipvino.errors import DataError
from blipvino.photos.listing import Listed, is_pattern, list_photos


@dataclass(frozen=True)
class PhotoFiles:
    """Image files, found as `blipvino caption` finds them. A row's id is the file's path below the folder.

    Attributes:
        place: a folder, a file or a pattern, as it was given.
    """

    place: str

    @property
    def name(self) -> str:
        """The absolute path or pattern."""
        return os.path.abspath(self.place)  # noqa: PTH100  # of a pattern, too

    @property
    def lists_quickly(self) -> bool:
        """It does."""
        return True

    def partitions(self) -> Iterator[ListedRows]:
        """Stretches of the listing.

        Raises:
            DataError: there are no images.
        """
        return cut_rows(map(self._row, self._listed()))

    def _listed(self) -> Iterator[Listed]:
        for number, listed in enumerate(list_photos([self.place])):
            if number == 0 and listed.error is not None and listed.path == Path(self.place):
                raise DataError(str(listed.error))
            yield listed

    def _row(self, listed: Listed) -> InputRow:
        below = _base(self.place)
        path = listed.path
        name = path.relative_to(below) if path.is_relative_to(below) else path
        if listed.error is not None:
            return InputRow(f"{name.as_posix()}/", None, error=str(listed.error))
        return InputRow(name.as_posix(), str(path))


def _base(place: str) -> Path:
    """The folder that ids are below."""
    if not is_pattern(place):
        path = Path(place)
        return path if path.is_dir() else path.parent
    fixed = []
    for part in Path(place).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)
