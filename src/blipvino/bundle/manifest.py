"""``manifest.json``: what a bundle is, where it came from, and the SHA-256 of every file in it.

The format is described in ``docs/bundle.md``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from blipvino.bundle.records import CalibrationRecord, ConfidenceRecord, Measurements
from blipvino.errors import BundleError, InputError
from blipvino.files.json_records import decode
from blipvino.recipe import Recipe

__all__ = ["MANIFEST_FILE", "OPTIMIZE_AGAIN", "SCHEMA_VERSION", "FileEntry", "Manifest", "SourceInfo"]

SCHEMA_VERSION = 2
MANIFEST_FILE = "manifest.json"
OPTIMIZE_AGAIN = "run `blipvino optimize` again, or copy the bundle again"


@dataclass(frozen=True)
class FileEntry:
    """What a listed file must be: its size in bytes and the SHA-256 of its content, in lowercase hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class SourceInfo:
    """The checkpoint that a bundle was made from: its name as given, commit hash (from a hub) and fingerprint."""

    name: str
    revision: str | None
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``. Keys of ``files`` are POSIX paths relative to the bundle.

    ``confidence`` alone may change after the bundle was written (`blipvino.bundle.amending`).
    """

    schema_version: int
    blipvino_version: str
    created: str
    source: SourceInfo
    architecture: str
    recipe: Recipe
    calibration: CalibrationRecord | None
    measurements: Measurements
    libraries: dict[str, str]
    files: dict[str, FileEntry]
    confidence: ConfidenceRecord | None = None

    def to_json(self) -> str:
        """The manifest as the text of ``manifest.json``.

        Raises:
            BundleError: a measurement is no finite number, which JSON cannot hold.
        """
        records = {
            "recipe": self.recipe.to_json(),
            "calibration": None if self.calibration is None else self.calibration.to_json(),
            "measurements": self.measurements.to_json(),
            "confidence": None if self.confidence is None else self.confidence.to_json(),
        }
        content = {each.name: getattr(self, each.name) for each in fields(self)}
        content |= {"source": asdict(self.source), **records}
        content["files"] = {name: asdict(entry) for name, entry in self.files.items()}
        try:
            return json.dumps(content, indent=2, allow_nan=False) + "\n"
        except (TypeError, ValueError) as error:
            raise BundleError(f"{MANIFEST_FILE}: a value in the bundle's details is not JSON ({error})") from error

    @classmethod
    def from_json(cls, text: str, where: str | Path) -> Manifest:
        """Read the text of a manifest. Unknown keys are passed over: later versions add some within a schema.

        Args:
            text: the content of ``manifest.json``.
            where: its path, for messages.

        Raises:
            BundleError: not JSON, of a newer schema, or a field is missing or ill-typed.
        """
        content = _parse(text, where)
        _check_schema(content, where)
        source = _take(content, "source", dict, where)
        entries = _take(content, "files", dict, where)
        libraries = _take(content, "libraries", dict, where)
        return cls(
            schema_version=content["schema_version"],
            blipvino_version=_take(content, "blipvino_version", str, where),
            created=_take(content, "created", str, where),
            source=SourceInfo(
                name=_take(source, "name", str, where, "source."),
                revision=_take_optional(source, "revision", str, where, "source."),
                sha256=_take(source, "sha256", str, where, "source."),
            ),
            architecture=_take(content, "architecture", str, where),
            recipe=_take_record(content, "recipe", Recipe.from_json, where),
            calibration=_take_optional_record(content, "calibration", CalibrationRecord, where),
            measurements=_take_optional_record(content, "measurements", Measurements, where) or Measurements(),
            libraries={name: _take(libraries, name, str, where, "libraries.") for name in libraries},
            files={name: _take_entry(entries, name, where) for name in entries},
            confidence=_take_optional_record(content, "confidence", ConfidenceRecord, where),
        )


def _parse(text: str, where: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where}: is not JSON ({error}); {OPTIMIZE_AGAIN}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{where}: holds a JSON {type(content).__name__}, expected an object; {OPTIMIZE_AGAIN}")
    return content


def _check_schema(content: Mapping[str, Any], where: str | Path) -> None:
    version = _take(content, "schema_version", int, where)
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"{where}: written by blipvino {content.get('blipvino_version', 'of an unknown version')} with schema "
            f"{version}, this version reads {SCHEMA_VERSION}: upgrade blipvino"
        )
    if version < SCHEMA_VERSION:  # its graphs have other ports
        raise BundleError(
            f"{where}: schema_version is {version}, this version reads {SCHEMA_VERSION}; {OPTIMIZE_AGAIN}"
        )


_Value = TypeVar("_Value", str, int, dict[str, Any])
_Record = TypeVar("_Record")


def _take(content: Mapping[str, Any], name: str, kind: type[_Value], where: str | Path, prefix: str = "") -> _Value:
    """A field of the manifest, in its type."""
    if name not in content:
        raise BundleError(f"{where}: has no {prefix}{name}; {OPTIMIZE_AGAIN}")
    value = content[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BundleError(f"{where}: {prefix}{name} is {value!r}, expected {kind.__name__}; {OPTIMIZE_AGAIN}")
    return value


def _take_optional(
    content: Mapping[str, Any], name: str, kind: type[_Value], where: str | Path, prefix: str = ""
) -> _Value | None:
    """A field of the manifest that may be absent or null."""
    return None if content.get(name) is None else _take(content, name, kind, where, prefix)


def _take_record(
    content: Mapping[str, Any], name: str, read: Callable[[dict[str, Any]], _Record], where: str | Path
) -> _Record:
    """A record of the manifest, in its type."""
    value = _take(content, name, dict, where)
    try:
        return read(value)
    except KeyError as error:
        raise BundleError(f"{where}: {name} has no {error.args[0]}; {OPTIMIZE_AGAIN}") from error
    except (TypeError, ValueError, AttributeError, InputError) as error:
        raise BundleError(f"{where}: {name} cannot be read ({error}); {OPTIMIZE_AGAIN}") from error


def _take_optional_record(
    content: Mapping[str, Any], name: str, kind: type[_Record], where: str | Path
) -> _Record | None:
    """A record of the manifest that may be absent or null."""
    return None if content.get(name) is None else _take_record(content, name, partial(decode, kind), where)


def _take_entry(entries: Mapping[str, Any], name: str, where: str | Path) -> FileEntry:
    """The entry of a listed file, whose path must stay inside the bundle on every system."""
    path = PurePosixPath(name)
    if str(path) != name or path.is_absolute() or ".." in path.parts or re.search(r"[\\:\0]", name) or name == ".":
        raise BundleError(f"{where}: lists {name!r}, which is not a path inside the bundle; do not use this bundle")
    entry = _take(entries, name, dict, where, "files.")
    size = _take(entry, "size", int, where, f"files.{name}.")
    digest = _take(entry, "sha256", str, where, f"files.{name}.")
    if size < 0 or not re.fullmatch("[0-9a-f]{64}", digest):
        raise BundleError(f"{where}: files.{name} has no valid size and SHA-256; {OPTIMIZE_AGAIN}")
    return FileEntry(size, digest)
