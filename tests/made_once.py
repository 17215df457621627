"""Folders that take long to make, made once for all workers of a run of the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager


def shared_folder(factory, name):
    """A folder that all workers of this run find."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def locked(place):
    """No other worker is in such a block about the same place."""
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(factory, name, make):
    """A copy, of this worker's own, of the folder that `make(folder)` writes for the first worker that asks."""
    place = shared_folder(factory, "made-once") / name
    with locked(place):
        if not place.exists():
            made = place.with_suffix(".new")
            make(made)
            made.rename(place)
    return shutil.copytree(place, factory.mktemp(name) / name)
