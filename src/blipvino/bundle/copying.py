"""A bundle, copied to another folder, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import MANIFEST_FILE
from blipvino.bundle.writing import check_target
from blipvino.errors import OutputError
from blipvino.files.placing import flush, place
from blipvino.files.staging import Stage


def copy_bundle(bundle: Bundle, target: Path) -> Bundle:
    """Copy what the manifest lists, and the manifest.

    Args:
        bundle: verified.
        target: a folder that is absent or empty, or another bundle, which is replaced. The same folder stays as it is.

    Returns:
        The copy.

    Raises:
        BundleError: the target is taken by something else, or its parent is no folder.
        OutputError: it cannot be written.
    """
    target = target.resolve()
    if target == bundle.folder.resolve():
        return bundle
    check_target(target, overwrite=True, bytes_needed=sum(entry.size for entry in bundle.manifest.files.values()))
    stage = Stage.beside(target)
    try:
        with stage.claimed():
            for name in (*sorted(bundle.manifest.files), MANIFEST_FILE):
                copy = stage.partial / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bundle.folder / name, copy)  # of a link, as the hub's cache has them, its content
                flush([copy])
            flush([stage.partial])
            place(stage, lambda: check_target(target, overwrite=True))
            shutil.rmtree(stage.replaced, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written ({error.strerror or error}); check the path and the disk"
        ) from error
    return open_bundle(target, verify=False)
