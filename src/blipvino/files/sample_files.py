"""Reading sample files: JSON documents with named faults, and images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from blipvino.errors import DataError
from blipvino.files.image_files import open_image

T = TypeVar("T")

_JSON_TYPES: dict[type, str] = {str: "string", int: "integer", list: "list", dict: "object"}


def require_file(path: Path, what: str) -> None:
    """Refuse a path that is not a file; ``what`` says what it should have been ("questions file")."""
    if not path.is_file():
        raise DataError(f"{path}: no such {what}; check the path")


def require_folder(path: Path, what: str) -> None:
    """Refuse a path that is not a folder; ``what`` says what it should have been ("image folder")."""
    if not path.is_dir():
        raise DataError(f"{path}: no such {what}; check the path")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises:
        DataError: The file cannot be read, is not JSON, or holds something else.
    """
    document = _parse(path)
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a JSON object, found a {type(document).__name__}")
    return document


def read_json_list(path: Path) -> list[Any]:
    """Read a JSON file that holds one list.

    Raises:
        DataError: The file cannot be read, is not JSON, or holds something else.
    """
    document = _parse(path)
    if not isinstance(document, list):
        raise DataError(f"{path}: expected a JSON list, found a {type(document).__name__}")
    return document


def _parse(path: Path) -> Any:
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise DataError(f"{path}: not valid JSON ({error}); extract or download the file again") from error


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write one JSON object, as compact as the official files."""
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def member(record: Any, key: str, kind: type[T], where: str) -> T:
    """The value of ``key`` in a JSON object.

    Args:
        record: The parsed JSON value that should be an object.
        key: Its key.
        kind: The type that the value must have.
        where: What to call the object in an error: "questions.json: questions[3]".

    Raises:
        DataError: The record is no object, has no such key, or the value has another type.
    """
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        found = "none" if value is None else json.dumps(value)[:40]
        raise DataError(f"{where}: expected {key!r} to be a JSON {_JSON_TYPES[kind]}, found {found}")
    return value


def load_image(path: Path) -> Image.Image:
    """Decode an image file, in the file's own mode; the first frame of an animation.

    Raises:
        ImageError: The file is missing, truncated, not an image, or too large to decode safely.
    """
    with open_image(path, str(path)) as image:
        image.load()
        return image
