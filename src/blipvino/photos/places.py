"""Where the description of a photo is kept, and the rules of writing there: other people's words stay."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blipvino.errors import OutputError

_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What goes wrong with one file and will with all others."""


class Place(Protocol):
    """Keeps the descriptions of photos: a kind of sidecars, or the photos' own metadata."""

    def has_description(self, photo: Path) -> bool:
        """Whether a description of the photo is there, whatever it says; without decoding the photo."""
        ...

    def write(self, photo: Path, text: str, *, overwrite: bool) -> Path | None:
        """Write the description of a photo.

        Args:
            photo: the file.
            text: what it shows.
            overwrite: whether it may take the place of another description.

        Returns:
            The file that was written; None where it said so already.

        Raises:
            OutputError: another description is there, or the file cannot be written.
        """
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of a photo's description.

    Attributes:
        written: the files that have it now and had not before.
        problems: why others have it not.
    """

    written: tuple[Path, ...] = ()
    problems: tuple[OutputError, ...] = ()


class Describer:
    """Writes descriptions to all places that were asked for.

    Args:
        places: where to.
        skip_existing: whether a place that has a description is passed over, and a photo that has it everywhere.
        overwrite: whether descriptions that are there are replaced.
    """

    def __init__(self, places: Sequence[Place], *, skip_existing: bool = False, overwrite: bool = False) -> None:
        self._places = places
        self._skip_existing = skip_existing
        self._overwrite = overwrite

    def is_done(self, photo: Path) -> bool:
        """Whether a photo need not be looked at, since all places have a description and are to be passed over."""
        return self._skip_existing and all(self._has_description(place, photo) for place in self._places)

    def describe(self, photo: Path, text: str) -> Outcome:
        """Write the description of a photo to all places that need one. A blank text is none.

        Raises:
            OutputError: nothing can be written any more: the disk is full, or read-only.
        """
        written, problems = list[Path](), list[OutputError]()
        for place in self._places if text.strip() else ():
            if self._skip_existing and self._has_description(place, photo):
                continue
            try:
                path = place.write(photo, text, overwrite=self._overwrite)
            except (OSError, ValueError) as error:
                problems.append(OutputError(f"{photo}: its description cannot be written ({error})"))
            except OutputError as error:
                if isinstance(error.__cause__, OSError) and error.__cause__.errno in _HOPELESS:
                    raise
                problems.append(error)
            else:
                written += [] if path is None else [path]
        return Outcome(tuple(written), tuple(problems))

    def _has_description(self, place: Place, photo: Path) -> bool:
        try:
            return place.has_description(photo)
        except (OutputError, OSError, ValueError):  # looking at the photo says what is wrong, or writing does
            return False
