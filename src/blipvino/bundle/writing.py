"""Writing a bundle, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from blipvino.bundle.bundle import sha256_of
from blipvino.bundle.manifest import MANIFEST_FILE, SCHEMA_VERSION, FileEntry, Manifest, SourceInfo
from blipvino.bundle.records import CalibrationRecord, Measurements
from blipvino.errors import BundleError
from blipvino.files.placing import flush, is_taken, place
from blipvino.files.staging import Stage, sweep
from blipvino.machine.versions import installed_version, library_versions
from blipvino.recipe import Recipe

__all__ = ["BundleDetails", "check_target", "write_bundle"]

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HASH_THREADS = 4


@dataclass
class BundleDetails:
    """What the writer of a bundle says of it. May be filled in until the `write_bundle` block ends.

    Attributes:
        source: the checkpoint.
        architecture: its class, such as ``BlipForQuestionAnswering``.
        recipe: the precision of each graph, and how it got it.
        calibration: the samples that quantization saw; None where it saw none.
        measurements: what was measured on the host that wrote the bundle.
        libraries: versions of the libraries that made the graphs.
    """

    source: SourceInfo
    architecture: str
    recipe: Recipe
    calibration: CalibrationRecord | None = None
    measurements: Measurements = field(default_factory=Measurements)
    libraries: dict[str, str] = field(default_factory=library_versions)


def check_target(target: str | Path, overwrite: bool = False, *, bytes_needed: int = 0) -> None:
    """Refuse a target that `write_bundle` would refuse. Call it before long work.

    What killed writers of the same target left beside it is removed; a bundle that one had moved aside is moved back.

    Args:
        target: the folder to be written: absent, empty, or with ``overwrite`` an existing bundle.
        overwrite: whether an existing bundle may be replaced.
        bytes_needed: refuse a disk with less free space; 0 does not look.

    Raises:
        BundleError: the target is taken, its parent is missing or not writable, or the disk is too full.
    """
    target = Path(target).resolve()
    parent = target.parent
    if not parent.is_dir():
        raise BundleError(f"{target}: cannot be written, since {parent} is not a folder; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BundleError(f"{target}: cannot be written, since {parent} is not writable; choose another folder")
    sweep(target)
    if is_taken(target):
        _check_replaceable(target, overwrite)
    free = shutil.disk_usage(parent).free
    if free < bytes_needed:
        raise BundleError(
            f"no space for {target}: {bytes_needed:,} bytes needed, {free:,} free; free some and run again"
        )


def _check_replaceable(target: Path, overwrite: bool) -> None:
    if not _is_bundle(target):
        raise BundleError(f"{target} exists and is not a bundle, so it is left alone; choose another folder")
    if not overwrite:
        raise BundleError(
            f"{target} already holds a bundle; choose another folder, or have it replaced "
            "(--force on the command line, overwrite=True in Python)"
        )


def _is_bundle(folder: Path) -> bool:
    """Whether a folder holds a bundle of any schema, damaged or not."""
    try:
        content = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no manifest or a foreign one: then it is not a bundle, which is the answer
        return False
    return isinstance(content, dict) and {"schema_version", "blipvino_version", "files"} <= content.keys()


@contextmanager
def write_bundle(
    target: str | Path,
    details: BundleDetails,
    *,
    overwrite: bool = False,
    finish: Callable[[Path], None] | None = None,
) -> Iterator[Path]:
    """Write a bundle whole or not at all.

    The block gets a new folder beside the target, on its file system, to put the files in. When the block ends well
    the manifest is added, everything is flushed to disk and the folder is renamed to the target. When it raises
    anything, KeyboardInterrupt included, the folder is removed and the target is as it was. What a process that is
    killed outright leaves behind, whoever writes to the same target next tidies up.

    Args:
        target: the bundle's folder to be: absent, empty, or with ``overwrite`` an existing bundle.
        details: what goes into the manifest; may be filled in while the block runs.
        overwrite: replace an existing bundle.
        finish: called with the bundle's folder when it is whole and not yet in its place: it may amend the manifest.

    Yields:
        The folder to write into.

    Raises:
        BundleError: as `check_target`, details that are not JSON, or the disk is full or not writable.
    """
    target = Path(target).resolve()
    check_target(target, overwrite)
    _manifest(details, {}).to_json()  # details that JSON cannot hold are refused now and not after the work
    stage = Stage.beside(target)
    folder = stage.partial
    with ExitStack() as claim:
        try:
            claim.enter_context(stage.claimed())
            folder.mkdir()  # and not tempfile.mkdtemp, whose folders are the user's alone: a bundle follows the umask
            yield folder
            _seal(folder, details)
            if finish is not None:
                finish(folder)
            _move_into_place(stage, overwrite)
        except (OSError, RuntimeError) as error:
            problem = _writing_problem(error, stage)
            if problem is None:
                raise
            raise BundleError(problem) from error


def _manifest(details: BundleDetails, files: dict[str, FileEntry]) -> Manifest:
    return Manifest(
        schema_version=SCHEMA_VERSION,
        blipvino_version=installed_version("blipvino"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=details.source,
        architecture=details.architecture,
        recipe=details.recipe,
        calibration=details.calibration,
        measurements=details.measurements,
        libraries=details.libraries,
        files=files,
    )


def _seal(folder: Path, details: BundleDetails) -> None:
    """Flush every file of a finished folder, then list them in its manifest, which is written last."""
    manifest_path = folder / MANIFEST_FILE
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir() and path != manifest_path)
    for path in paths:
        if path.is_symlink():
            raise BundleError(f"{path.name} is a link; a bundle must hold the file itself: copy it")
    flush(paths)
    with ThreadPoolExecutor(_HASH_THREADS) as pool:
        entries = pool.map(lambda path: FileEntry(path.stat().st_size, sha256_of(path)), paths)
        files = {path.relative_to(folder).as_posix(): entry for path, entry in zip(paths, entries, strict=True)}
    manifest_path.write_text(_manifest(details, files).to_json(), encoding="utf-8")
    flush([manifest_path, *(path for path in folder.rglob("*") if path.is_dir()), folder])


def _move_into_place(stage: Stage, overwrite: bool) -> None:
    """Rename a finished folder to its target. What was there is moved aside; the stage moves it back if that fails."""
    target = stage.target
    place(stage, lambda: _check_replaceable(target, overwrite))
    if stage.replaced.exists():
        try:
            shutil.rmtree(stage.replaced)
        except OSError as error:
            raise BundleError(
                f"{target} is written, but its predecessor cannot be removed ({error}); delete {stage.replaced}"
            ) from error


def _writing_problem(error: OSError | RuntimeError, stage: Stage) -> str | None:
    """One line on an error that came of writing the bundle; None for one that came of the caller's other work."""
    folder, target = stage.partial, stage.target
    written = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    # OpenVINO reports a failed write of an IR file as a RuntimeError of the C++ streams, without an errno.
    streams = isinstance(error, RuntimeError) and "iostream error" in str(error)
    file = getattr(error, "filename", None)
    ours = streams or (isinstance(file, str | Path) and (stage.owns(Path(file)) or Path(file) == target))
    if streams or (isinstance(error, OSError) and error.errno in _DISK_FULL):
        where = file or folder.parent
        return (
            f"no space left on the disk of {where} while writing {target}: more than {written:,} bytes needed, "
            f"{shutil.disk_usage(folder.parent).free:,} free; free some and run again, nothing was left behind"
        )
    if ours:
        return f"{target}: cannot be written ({error}); check the folder and its permissions, nothing was left behind"
    return None
