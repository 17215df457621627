"""``photo.txt`` beside ``photo.jpg``: the form of training sets, a caption and nothing else."""

from __future__ import annotations

from pathlib import Path

from blipvino.errors import OutputError
from blipvino.files.beside import FileWriter, take_snapshot
from blipvino.photos.sidecar_names import Naming, SidecarNames, unreadable_sidecar


class TextSidecars:
    """Text files in UTF-8, a line each. One that is blank counts as none.

    Args:
        files: writes them.
        naming: what they are called after.
        prefix: goes before every text, as it is.
        suffix: goes after every text, as it is.
    """

    def __init__(self, files: FileWriter, naming: Naming = Naming.stem, prefix: str = "", suffix: str = "") -> None:
        self._files = files
        self._names = SidecarNames(".txt", naming)
        self._prefix = prefix
        self._suffix = suffix

    def has_description(self, photo: Path) -> bool:
        """See `blipvino.photos.places.Place`."""
        path = self._names.path(photo)
        try:
            self._files.visit(path.parent)
            return bool(take_snapshot(path).content.strip())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unreadable_sidecar(path, error) from error

    def write(self, photo: Path, text: str, *, overwrite: bool) -> Path | None:
        """See `blipvino.photos.places.Place`."""
        path = self._names.path(photo)
        content = f"{self._prefix}{text}{self._suffix}\n".encode()
        if self._files.create(path, content):
            return path
        try:
            old = take_snapshot(path)
        except OSError as error:
            raise unreadable_sidecar(path, error) from error
        if old.content.strip() == content.strip():
            return None
        if old.content.strip() and not overwrite:
            raise OutputError(f"{path}: has another text, and is left as it is; --overwrite replaces it")
        self._files.replace(old, content)
        return path
