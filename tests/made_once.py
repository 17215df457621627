"""Folders that take long to make, made once for all workers of a run of the tests."""

from __future__ import annotations

import fcntl
import os
import shutil


def shared_folder(factory):
    """Where all workers of this run find the same files."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(factory, name, make):
    """A copy, of this worker's own, of the folder that `make(folder)` writes for the first worker that asks."""
    place = shared_folder(factory) / "made-once"
    place.mkdir(exist_ok=True)
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / name).exists():
            make(place / f"{name}.new")
            (place / f"{name}.new").rename(place / name)
    return shutil.copytree(place / name, factory.mktemp(name) / name)
