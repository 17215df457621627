"""Descriptions inside the photos themselves: EXIF, IPTC and XMP, all saying the same; the picture is left as it is."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blipvino.errors import ImageError, InputError, OutputError
from blipvino.files.beside import FileWriter, take_snapshot
from blipvino.photos.jpeg_segments import with_exif_of
from blipvino.photos.same_pictures import find_difference

INSTALL_METADATA = "pip install 'blipvino[metadata]'"
_MUTE = 4
_JPEG = b"\xff\xd8"
_EXIF = "Exif.Image.ImageDescription"
_IPTC, _IPTC_CHARACTERS, _UTF8 = "Iptc.Application2.Caption", "Iptc.Envelope.CharacterSet", "\x1b%G"
_IPTC_BYTES = 2000
"""A caption of IPTC's older format may be so long."""
_DESCRIPTION, _ALT_TEXT = "Xmp.dc.description", "Xmp.iptc.AltTextAccessibility"
_DEFAULT = 'lang="x-default"'
_CAMERAS_OWN = re.compile(r"(\w+ )*DIGITAL CAMERA|SONY DSC|Exif[ _]JPEG[ _]PICTURE", re.IGNORECASE)
"""What cameras put in place of a description."""
_LEFT_OUT = (frozenset[str](), frozenset({_IPTC}), frozenset({_EXIF}), frozenset({_IPTC, _EXIF}))
"""Texts of older formats that are done without where they cannot be written, the fewest first."""
_OURS = frozenset({_EXIF, _IPTC, _IPTC_CHARACTERS, _DESCRIPTION, _ALT_TEXT})
_PLACES_OF_THINGS = (
    "ExifTag",
    "GPSTag",
    "InteroperabilityTag",
    "Offset",
    "JPEGInterchangeFormat",
    "XMLPacket",
    "IPTCNAA",
    "ImageResources",
)
"""Parts of names of EXIF tags that tell where in the file something is, or hold other kinds of metadata."""

Metadata = Mapping[str, Any]


@dataclass(frozen=True)
class _Read:
    """All metadata of a photo: a mapping of names a kind."""

    exif: Metadata
    iptc: Metadata
    xmp: Metadata
    comment: str

    @property
    def texts(self) -> dict[str, str]:
        """The descriptions that there are, by name, and the alternative text."""
        found = {
            _EXIF: self.exif.get(_EXIF),
            _IPTC: self.iptc.get(_IPTC),
            _DESCRIPTION: _default_text(self.xmp.get(_DESCRIPTION)),
            _ALT_TEXT: _default_text(self.xmp.get(_ALT_TEXT)),
        }
        texts = {name: text.strip() for name, text in found.items() if isinstance(text, str)}
        return {name: text for name, text in texts.items() if text and not _CAMERAS_OWN.fullmatch(text)}

    @property
    def others(self) -> dict[str, Any]:
        """All but the descriptions, and but what says where in the file something is."""
        everything = {**self.exif, **self.iptc, **self.xmp, "comment": self.comment}
        kept = {name: value for name, value in everything.items() if name not in _OURS and _says_something(value)}
        return {name: value for name, value in kept.items() if not any(part in name for part in _PLACES_OF_THINGS)}


class PhotoMetadata:
    """The metadata in JPEG, PNG, WebP, TIFF and JPEG 2000 files, by Exiv2.

    The description is written to EXIF's ImageDescription, IPTC's Caption-Abstract (which WebP has not) and XMP's
    dc:description, as the Metadata Working Group has them in step, and as XMP's alternative text. The new file is made
    in memory and compared with the old one: every pixel of every frame, and all other metadata. Then it replaces it.

    Args:
        files: writes them.
        keep_mtime: whether files keep their time of modification; by default backups and libraries see the change.

    Raises:
        InputError: pyexiv2 is not installed.
    """

    def __init__(self, files: FileWriter, *, keep_mtime: bool = False) -> None:
        self._files = files
        self._keep_mtime = keep_mtime
        try:
            self._exiv2 = importlib.import_module("pyexiv2")
        except (ImportError, OSError) as error:  # OSError: its library needs one that is not there
            raise InputError(f"--write-metadata needs pyexiv2 ({error}): {INSTALL_METADATA}") from error
        self._exiv2.set_log_level(_MUTE)

    def has_description(self, photo: Path) -> bool:
        """See `blipvino.photos.places.Place`."""
        if not photo.is_file():  # a pipe would be waited for
            return False
        with self._opened(photo, None) as image:
            return bool(_read(image).texts.keys() - {_ALT_TEXT})

    def write(self, photo: Path, text: str, *, overwrite: bool) -> Path | None:
        """See `blipvino.photos.places.Place`."""
        try:
            old = take_snapshot(photo)
        except OSError as error:
            raise OutputError(f"{photo}: cannot be read ({error.strerror})") from error
        with self._opened(photo, old.content) as image:
            before, names = _read(image), _names(image, photo)
        if any(found != text for name, found in before.texts.items() if name != _ALT_TEXT) and not overwrite:
            raise OutputError(f"{photo}: has another description, and is left as it is; --overwrite replaces it")
        names -= set() if _iptc_fits(before, text) else {_IPTC}
        missing = {name for name in names if before.texts.get(name) != text}
        if not overwrite and _ALT_TEXT in before.texts:
            missing -= {_ALT_TEXT}  # somebody's own
        if not missing or (missing == {_EXIF} and _DESCRIPTION in before.texts and not overwrite):
            return None
        content = self._described(photo, old.content, before, dict.fromkeys(missing, text))
        if content is None:
            return None
        self._files.replace(old, content, keep_mtime=self._keep_mtime)
        return photo

    def _described(self, photo: Path, content: bytes, before: _Read, texts: Mapping[str, str]) -> bytes | None:
        """A photo with other texts, without those of the older formats that Exiv2 cannot write into this one: EXIF
        beside the notes of some cameras, and IPTC in PNG where its length is one of some, which is then not read again.
        None where no text is left to be written.

        Raises:
            OutputError: as of `_changed`.
        """
        refusals = list[OutputError]()
        for left_out in _LEFT_OUT:
            if left_out - texts.keys() or left_out & before.texts.keys():
                continue
            kept = {name: text for name, text in texts.items() if name not in left_out}
            if not kept:
                return None
            try:
                return self._changed(photo, content, before, kept, keep_exif=_EXIF in left_out)
            except OutputError as error:
                refusals.append(error)
        raise refusals[0]

    def _changed(
        self, photo: Path, content: bytes, before: _Read, texts: Mapping[str, str], *, keep_exif: bool = False
    ) -> bytes:
        """A photo with other texts, compared with what it was.

        Args:
            photo: names it in errors.
            content: of the file.
            before: its metadata.
            texts: by name.
            keep_exif: whether a JPEG's EXIF stays, byte for byte. Exiv2 writes the notes of some cameras anew and
                leaves out what it does not know of them.

        Raises:
            OutputError: more was changed than the texts, or these were not.
        """
        with self._opened(photo, content) as image:
            _set_texts(image, before, texts)
            changed: bytes = image.get_bytes()
        if keep_exif and changed.startswith(_JPEG):
            changed = with_exif_of(content, changed)
        with self._opened(photo, changed) as image:
            after = _read(image)
        lost = sorted(name for name, value in before.others.items() if after.others.get(name) != value)
        try:
            difference = find_difference(content, changed, str(photo)) or (lost[0] if lost else None)
        except ImageError as error:
            raise OutputError(f"{error}; its metadata is left as it is") from error
        if difference is None and after.texts != {**before.texts, **texts}:
            difference = "the text itself"
        if difference is not None:
            raise OutputError(
                f"{photo}: writing its metadata would change {difference}, so it is left as it is; --sidecar xmp keeps "
                "the text beside it"
            )
        return changed

    @contextmanager
    def _opened(self, photo: Path, content: bytes | None) -> Iterator[Any]:
        """A photo, or the bytes of one, for Exiv2. Whatever that raises is an `OutputError`."""
        try:
            image = self._exiv2.Image(str(photo)) if content is None else self._exiv2.ImageData(content)
            try:
                yield image
            finally:
                image.close()
        except UnicodeEncodeError:
            if content is not None:
                raise
            with self._opened(photo, photo.read_bytes()) as image:  # Exiv2 takes no such name, but its content
                yield image
        except (RuntimeError, ValueError, MemoryError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise OutputError(f"{photo}: its metadata cannot be read ({reason})") from error


def _read(image: Any) -> _Read:
    comment = _decoded(image.read_comment) if image.get_access_mode().get("comment") else ""
    return _Read(_decoded(image.read_exif), _decoded(image.read_iptc), _decoded(image.read_xmp), comment)


def _decoded(read: Callable[[str], Any]) -> Any:
    """What a file has, whose texts should be UTF-8 and of old were Latin-1."""
    try:
        return read("utf-8")
    except UnicodeDecodeError:
        return read("latin-1")


def _says_something(value: Any) -> bool:
    return any(value.values()) if isinstance(value, Mapping) else bool(value)


def _default_text(value: Any) -> str | None:
    """A text of XMP in the default language, or in the first of all."""
    if isinstance(value, Mapping):
        return value.get(_DEFAULT, next(iter(value.values()), None))
    return value if isinstance(value, str) else None


def _names(image: Any, photo: Path) -> set[str]:
    """The names that texts can be written under in a file of this format.

    Raises:
        OutputError: it has no metadata that can be written.
    """
    modes = image.get_access_mode()
    if any(modes.get(kind) != "read+write" for kind in ("exif", "xmp")):
        form = image.get_mime_type()
        raise OutputError(f"{photo}: metadata cannot be written into {form} files; --sidecar xmp keeps it beside them")
    return {_EXIF, _DESCRIPTION, _ALT_TEXT} | ({_IPTC} if modes.get("iptc") == "read+write" else set())


def _iptc_fits(before: _Read, text: str) -> bool:
    """Whether IPTC takes a text, and what else is there stays readable."""
    if len(text.encode()) > _IPTC_BYTES:
        return False
    declared = before.iptc.get(_IPTC_CHARACTERS) == _UTF8
    return text.isascii() or declared or all(str(value).isascii() for value in before.iptc.values())


def _set_texts(image: Any, before: _Read, texts: Mapping[str, str]) -> None:
    if _EXIF in texts:
        image.modify_exif({_EXIF: texts[_EXIF]})
    if _IPTC in texts:
        characters = {} if texts[_IPTC].isascii() else {_IPTC_CHARACTERS: _UTF8}
        image.modify_iptc({**characters, _IPTC: texts[_IPTC]})
    changed = {}
    for name in (_DESCRIPTION, _ALT_TEXT):
        if name in texts:
            others = before.xmp.get(name)
            kept = {key: value for key, value in others.items() if key != _DEFAULT} if isinstance(others, dict) else {}
            changed[name] = {_DEFAULT: texts[name], **kept}
    if changed:
        image.modify_xmp(changed)
