"""The cache of bundles: a folder for each checkpoint, recipe and version, made once, and what a hub said last.

Under ``bundles/`` of the cache folder: ``NAME-RECIPE-KEY/`` are bundles, ``.NAME-RECIPE-KEY.lock`` is held by who makes
one, ``.commits/`` has the commit that each revision was when the hub was last asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import MANIFEST_FILE
from blipvino.errors import BundleError, OutputError
from blipvino.files.atomic import make_folder, write_text
from blipvino.files.staging import sweep
from blipvino.progress import Reporter

FOLDER = "bundles"
_NAME = re.compile(r"[A-Za-z0-9._-]+-[0-9a-f]{16}")
_HALF_MADE = re.compile(rf"\.({_NAME.pattern})\.[0-9a-f]{{8}}\..+")


@dataclass(frozen=True)
class KeptBundle:
    """A bundle in the cache.

    Attributes:
        folder: of the bundle.
        size: bytes of its files.
        used: when it was last loaded by name of its checkpoint, or made: seconds since 1970.
        bundle: opened, not verified; None where it cannot be used any more.
    """

    folder: Path
    size: int
    used: float
    bundle: Bundle | None

    def to_json(self) -> dict[str, Any]:
        """All that is known of it."""
        manifest = None if self.bundle is None else self.bundle.manifest
        return {
            "kind": "bundle",
            "path": str(self.folder),
            "bytes": self.size,
            "used": self.used,
            "usable": manifest is not None,
            "source": None if manifest is None else manifest.source.name,
            "revision": None if manifest is None else manifest.source.revision,
            "recipe": None if manifest is None else manifest.recipe.name,
            "made": None if manifest is None else manifest.created,
        }


class BundleCache:
    """Bundles that are kept. Several processes may use a folder at once.

    Args:
        cache: the cache folder, which holds compiled graphs too. It is made when the first bundle is.
    """

    def __init__(self, cache: Path) -> None:
        self.folder = cache.expanduser() / FOLDER

    def place(self, name: str, key: str) -> Path:
        """Where the bundle of a key is, or is to be."""
        return self.folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"

    def find(self, place: Path) -> Bundle | None:
        """The bundle at its place, every file there in full size; None where none can be used."""
        if not (place / MANIFEST_FILE).is_file():
            return None
        try:
            bundle = open_bundle(place, verify=False)
        except BundleError:  # cut off, or of another version of the format: it is made again
            return None
        with suppress(OSError):  # of somebody else's folder, which can be read all the same
            os.utime(place / MANIFEST_FILE)
        return bundle

    @contextmanager
    def making(self, place: Path, reporter: Reporter) -> Iterator[None]:
        """Hold the right to make a bundle while the block runs; wait for another process that has it.

        Raises:
            OutputError: the cache cannot be written.
        """
        make_folder(self.folder)
        lock = FileLock(self.folder / f".{place.name}.lock", thread_local=False)
        try:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                reporter.say(f"{place.name}: another process is making it; waiting")
                lock.acquire()
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror}); choose another cache") from error
        try:
            yield
        finally:
            lock.release()

    def last_commit(self, repo_id: str, revision: str | None) -> str | None:
        """What the hub last said that a revision is; None where it was never asked."""
        try:
            said = json.loads(self._commit_file(repo_id, revision).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # it was never asked, or what was kept is damaged: then the hub is asked
            return None
        return str(said["commit"]) if isinstance(said, dict) and "commit" in said else None

    def keep_commit(self, repo_id: str, revision: str | None, commit: str) -> None:
        """Keep what the hub said.

        Raises:
            OutputError: the cache cannot be written.
        """
        if self.last_commit(repo_id, revision) == commit:
            return
        path = self._commit_file(repo_id, revision)
        make_folder(path.parent)
        write_text(path, json.dumps({"repo_id": repo_id, "revision": revision, "commit": commit}) + "\n")

    def entries(self) -> list[KeptBundle]:
        """What is there, last used first."""
        return sorted(self._found(), key=lambda each: each.used, reverse=True)

    def remove(self, bundles: Iterable[KeptBundle]) -> None:
        """Remove bundles; a process that has loaded one goes on.

        Raises:
            OutputError: a file cannot be removed.
        """
        for each in bundles:
            sweep(each.folder)
            try:
                shutil.rmtree(each.folder)
            except FileNotFoundError:  # another process was faster
                continue
            except OSError as error:
                raise OutputError(
                    f"{error.filename or each.folder}: cannot be removed ({error.strerror}); check its permissions"
                ) from error

    def tidy(self) -> None:
        """Remove what killed processes left half-made, which is no bundle; what is being made is not touched."""
        if self.folder.is_dir():
            for name in {found[1] for path in self.folder.iterdir() if (found := _HALF_MADE.fullmatch(path.name))}:
                sweep(self.folder / name)

    def _found(self) -> Iterator[KeptBundle]:
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if not _NAME.fullmatch(path.name) or not path.is_dir():
                continue
            try:
                size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                manifest = path / MANIFEST_FILE
                used = (manifest if manifest.is_file() else path).stat().st_mtime
            except FileNotFoundError:  # another process removed it
                continue
            try:
                bundle = open_bundle(path, verify=False)
            except BundleError:
                bundle = None
            yield KeptBundle(path, size, min(used, time.time()), bundle)

    def _commit_file(self, repo_id: str, revision: str | None) -> Path:
        digest = hashlib.sha256(json.dumps([repo_id, revision]).encode()).hexdigest()
        return self.folder / ".commits" / f"{digest[:32]}.json"
