"""Writing into a finished bundle's manifest what was found out about it later: how sure it may say it is.

Its files, and so its fingerprint, stay what they are.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import MANIFEST_FILE, Manifest
from blipvino.bundle.records import ConfidenceRecord, FittedConfidence
from blipvino.errors import BundleError
from blipvino.files.staging import Stage

if sys.platform != "win32":
    import fcntl


def write_confidence(bundle: Bundle, fitted: Mapping[str, FittedConfidence | None]) -> Bundle:
    """Put into a bundle's manifest what was fitted, whole or not at all. What else the manifest holds is kept.

    Args:
        bundle: as it was opened, before the work.
        fitted: by the names of `ConfidenceRecord`'s fields; kinds that are left out keep what they have.

    Returns:
        The bundle, opened anew.

    Raises:
        BundleError: it has been replaced by another one since, or cannot be written.
    """
    path = bundle.folder / MANIFEST_FILE
    stage = Stage.beside(path)
    try:
        with _held(bundle.folder), stage.claimed():
            _write_through(stage.partial, _amended(bundle, path.read_bytes(), fitted))
            # Should the folder be replaced just now, the new one has no such partial file, and this fails.
            stage.partial.replace(path)
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be written ({error.strerror}); check its permissions, the bundle is as it was"
        ) from error
    return open_bundle(bundle.folder, verify=False)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Amend a bundle one process after the other: the lock is on the folder, so that no file of it is left there."""
    if sys.platform == "win32":  # folders cannot be opened there; whoever writes last wins
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # of a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _amended(bundle: Bundle, text: bytes, fitted: Mapping[str, FittedConfidence | None]) -> str:
    path = bundle.folder / MANIFEST_FILE
    decoded = text.decode("utf-8", errors="replace")
    current = Manifest.from_json(decoded, path)
    if current.files != bundle.manifest.files:
        raise BundleError(
            f"{bundle.folder}: was replaced by another bundle meanwhile, which is left as it is; run again"
        )
    record = replace(current.confidence or ConfidenceRecord(), **fitted)
    # The parsed text and not the manifest: a later version may have put more into it.
    content = {**json.loads(decoded), "confidence": None if record == ConfidenceRecord() else record.to_json()}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _write_through(path: Path, text: str) -> None:
    """Write a file, and wait until it is on disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
