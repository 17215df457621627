"""The columns of a list of images, and rows of its records."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.remote_files import is_url, joined
from blipvino.errors import DataError, InputError

_DEFAULTS = {"id": "id", "image": "path", "content": "bytes", "question": "question"}
_OPTIONS = {"id": "id-column", "image": "image-column", "content": "bytes-column", "question": "question-column"}


@dataclass(frozen=True)
class ListColumns:
    """What the columns of a list are called. One that is named must be there; of the usual names those that are count.

    Attributes:
        id: of ids; None is "id". Without it, a row's id is its path as it is written, with its question if it has one
            (``photo.jpg#what is this?``); or its place in the list.
        image: of paths, absolute or from the list's folder, and of URLs; None is "path". In Parquet it may be a
            structure with ``path`` and ``bytes``, as the Hugging Face libraries write images.
        content: of the bytes of image files, in text as Base64; None is "bytes".
        question: of questions; None is "question".
    """

    id: str | None = None
    image: str | None = None
    content: str | None = None
    question: str | None = None

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            InputError: one is blank.
        """
        for role, option in _OPTIONS.items():
            if getattr(self, role) == "":
                raise InputError(f"--{option} is blank, expected the name of a column")

    @property
    def named(self) -> dict[str, str]:
        """Those that are named, by their options: they are a part of the job."""
        return {option: getattr(self, role) for role, option in _OPTIONS.items() if getattr(self, role) is not None}

    def of_list(self, place: str) -> str:
        """What a list is called with these columns: with others it has other rows."""
        told = ", ".join(f"{option} {name}" for option, name in self.named.items())
        return f"{place} ({told})" if told else place

    @property
    def names(self) -> dict[str, str]:
        """What the column of each role is called, be it there or not."""
        return {role: getattr(self, role) or usual for role, usual in _DEFAULTS.items()}

    def found_in(self, names: Sequence[str], where: str) -> dict[str, str]:
        """The column of each role that a list has.

        Args:
            names: of all its columns.
            where: what to call the list in an error.

        Raises:
            DataError: one that is named is not there, or there are no images.
        """
        found = {}
        listed = ", ".join(names) or "none"
        for role, name in self.names.items():
            if name in names:
                found[role] = name
            elif getattr(self, role) is not None:
                raise DataError(f"{where}: has no column {name!r}, only {listed}; check --{_OPTIONS[role]}")
        if "image" not in found and "content" not in found:
            raise DataError(
                f"{where}: no column with images; its columns are {listed}: name one with "
                "--image-column or --bytes-column"
            )
        return found


@dataclass(frozen=True)
class ListRecords:
    """Makes rows of a list's records.

    Attributes:
        where: what the list is called in ids that are made up, and in errors.
        folder: path or URL that paths are from; "" leaves them as they are.
    """

    where: str
    folder: str

    def row(self, record: Mapping[str, Any], columns: Mapping[str, str], number: int) -> InputRow:
        """A record as a row; one without an image has an error.

        Args:
            record: its values, by column.
            columns: by role.
            number: of the record, from 1.
        """
        values = {role: record.get(name) for role, name in columns.items()}
        image = values.get("image")
        if isinstance(image, Mapping):  # as the Hugging Face libraries have it
            values["content"] = image.get("bytes") or values.get("content")
            image = image.get("path")
        given = values.get("id")
        place = image if isinstance(image, str) and image else None
        question = values.get("question")
        asked = question if isinstance(question, str) and question.strip() else None
        name = str(given) if given not in (None, "") else self._name(place, asked, number)
        content = values.get("content")
        if content not in (None, "", b""):
            return self._of_content(name, content, asked)
        if place is None:
            return InputRow(name, None, asked, f"{self.made_up(number)}: has no image")
        return InputRow(name, self._resolved(place), asked)

    def made_up(self, number: int) -> str:
        """The id of a record that brings none."""
        return f"{self.where}#{number}"

    def _name(self, place: str | None, question: str | None, number: int) -> str:
        if place is None:
            return self.made_up(number)
        return place if question is None else f"{place}#{question}"

    def _of_content(self, name: str, content: Any, question: str | None) -> InputRow:
        if isinstance(content, bytes):
            return InputRow(name, content, question)
        try:
            return InputRow(name, base64.b64decode(content, validate=True), question)
        except (binascii.Error, ValueError, TypeError) as error:
            return InputRow(name, None, question, f"{name}: its bytes are no Base64 ({error})")

    def _resolved(self, place: str) -> str:
        if is_url(place) or place.startswith("/") or not self.folder:
            return place
        return joined(self.folder, place) if is_url(self.folder) else f"{self.folder.rstrip('/')}/{place}"
