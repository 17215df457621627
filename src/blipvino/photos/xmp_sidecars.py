"""``photo.jpg.xmp`` beside ``photo.jpg``: the form of photo libraries, with whatever else they keep in it."""

from __future__ import annotations

from pathlib import Path

from blipvino.errors import OutputError
from blipvino.files.beside import FileWriter, Snapshot, take_snapshot
from blipvino.files.image_files import IMAGE_SUFFIXES
from blipvino.photos.sidecar_names import RAW_AND_FILM_SUFFIXES, Naming, SidecarNames, unreadable_sidecar
from blipvino.photos.xmp import XmpTexts, new_xmp, read_xmp, with_texts


class XmpSidecars:
    """XMP files with a description and an alternative text.

    Args:
        files: writes them.
        naming: what they are called after. By default the whole name, so that no two photos share one; but where
            ``photo.xmp`` is there, ``photo.jpg.xmp`` is not, and no other file has the stem, ``photo.xmp`` is extended.
    """

    def __init__(self, files: FileWriter, naming: Naming | None = None) -> None:
        self._files = files
        self._naming = naming
        self._names = SidecarNames(".xmp", naming or Naming.full, IMAGE_SUFFIXES | RAW_AND_FILM_SUFFIXES)

    def has_description(self, photo: Path) -> bool:
        """See `blipvino.photos.places.Place`."""
        old = self._read(self._path(photo))
        return old is not None and _texts(old, photo).description is not None

    def write(self, photo: Path, text: str, *, overwrite: bool) -> Path | None:
        """See `blipvino.photos.places.Place`."""
        path = self._path(photo)
        both = XmpTexts(text, text)
        if not _is_there(path) and self._files.create(path, new_xmp(both)):
            return path
        old = self._read(path)
        if old is None and path.is_symlink():
            raise unreadable_sidecar(path, FileNotFoundError())
        if old is None:
            raise OutputError(f"{path}: was changed by another program meanwhile, and is left as it is")
        found = _texts(old, path)
        if found == both or (found.description == text and not overwrite and found.alt_text is not None):
            return None
        if found.description not in (None, text) and not overwrite:
            raise OutputError(f"{path}: has another description, and is left as it is; --overwrite replaces it")
        added = XmpTexts(text, text if overwrite or found.alt_text is None else None)
        self._files.replace(old, with_texts(old.content, added) if old.content.strip() else new_xmp(both))
        return path

    def _path(self, photo: Path) -> Path:
        path = self._names.path(photo)
        if self._naming is None and not _is_there(path):
            stem = self._names.stem(photo)
            if _is_there(stem) and not self._names.is_shared(photo):
                return stem
        return path

    def _read(self, path: Path) -> Snapshot | None:
        try:
            self._files.visit(path.parent)
            return take_snapshot(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable_sidecar(path, error) from error


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long a name, a folder that is not to be entered: writing says so
        return False


def _texts(old: Snapshot, path: Path) -> XmpTexts:
    if not old.content.strip():
        return XmpTexts(None, None)
    try:
        return read_xmp(old.content)
    except ValueError as error:
        raise OutputError(f"{path}: {error}; move it away to have a new one written") from error
