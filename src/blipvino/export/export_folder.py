"""The folder of an export, written whole or not at all, and the record in it of what it was made of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blipvino.bundle.bundle import sha256_of
from blipvino.bundle.manifest import MANIFEST_FILE
from blipvino.errors import ExportError, OutputError
from blipvino.files.placing import flush, is_taken, place
from blipvino.files.staging import Stage, sweep
from blipvino.machine.versions import installed_version

EXPORT_FILE = "export.json"


@dataclass(frozen=True)
class ExportRecord:
    """What ``export.json`` says.

    Attributes:
        format: of the models, "onnx" or "openvino".
        precision: of the weights.
        source: the checkpoint, as the bundle's manifest names it.
        architecture: its class.
        recipe: of the bundle.
        bundle: the bundle's fingerprint.
        details: of the format, such as the version of its operations.
        libraries: versions of what wrote it.
    """

    format: str
    precision: str
    source: str
    architecture: str
    recipe: str
    bundle: str
    details: dict[str, Any]
    libraries: dict[str, str]


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        folder: with the models.
        record: what they were made of.
        sizes: bytes of each file, by name.
    """

    folder: Path
    record: ExportRecord
    sizes: dict[str, int]

    @classmethod
    def of(cls, folder: Path, record: ExportRecord) -> Export:
        """The export in a folder."""
        return cls(folder, record, {path.name: path.stat().st_size for path in sorted(folder.iterdir())})


def check_export_target(target: Path, overwrite: bool) -> None:
    """Refuse a folder that `write_export` would refuse. Call it before long work.

    Args:
        target: absent, empty, or with ``overwrite`` an existing export.
        overwrite: whether that may be replaced.

    Raises:
        ExportError: the target is taken or inside a bundle, or its parent is missing.
    """
    if not target.parent.is_dir():
        raise ExportError(f"{target}: cannot be written, since {target.parent} is not a folder; create it first")
    inside = next((folder for folder in target.resolve().parents if (folder / MANIFEST_FILE).is_file()), None)
    if inside is not None:
        raise ExportError(
            f"{target} is inside the bundle {inside}, which holds what its manifest lists; choose another"
        )
    sweep(target)
    if is_taken(target):
        _check_replaceable(target, overwrite)


def _check_replaceable(target: Path, overwrite: bool) -> None:
    if not is_export(target):
        raise ExportError(f"{target} exists and is not an export, so it is left alone; choose another folder")
    if not overwrite:
        raise ExportError(
            f"{target} already holds an export; choose another folder, or have it replaced "
            "(--force on the command line, overwrite=True in Python)"
        )


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export, of any format."""
    try:
        content = json.loads((folder / EXPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no record or a foreign one: then it is no export, which is the answer
        return False
    return isinstance(content, dict) and {"format", "blipvino_version", "files"} <= content.keys()


@contextmanager
def write_export(target: Path, record: ExportRecord, *, overwrite: bool = False) -> Iterator[Path]:
    """Write an export whole or not at all; ``export.json`` is added at the end.

    Args:
        target: as of `check_export_target`.
        record: what goes into ``export.json``, beside every file's size and SHA-256.
        overwrite: replace an existing export.

    Yields:
        The folder to write into, beside the target.

    Raises:
        ExportError: as `check_export_target`.
        OutputError: the folder cannot be written.
    """
    target = target.resolve()
    check_export_target(target, overwrite)
    stage = Stage.beside(target)
    try:
        with stage.claimed():
            stage.partial.mkdir()
            yield stage.partial
            _seal(stage.partial, record)
            place(stage, lambda: _check_replaceable(target, overwrite))
            shutil.rmtree(stage.replaced, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{target}: cannot be written ({reason}); check the path and the disk") from error


def _seal(folder: Path, record: ExportRecord) -> None:
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    files = {path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)} for path in paths}
    content = {"blipvino_version": installed_version("blipvino"), **asdict(record), "files": files}
    record_path = folder / EXPORT_FILE
    record_path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    flush([*paths, record_path, folder])
