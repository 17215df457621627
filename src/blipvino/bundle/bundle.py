"""A bundle that is opened: graphs, settings and a manifest in one folder, verified.

The format is described in ``docs/bundle.md``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from blipvino.bundle.manifest import MANIFEST_FILE, OPTIMIZE_AGAIN, FileEntry, Manifest
from blipvino.demo import NAMES as EMBEDDED
from blipvino.errors import BundleError
from blipvino.files.staging import moved_aside

__all__ = ["Bundle", "graph_files", "open_bundle", "sha256_of"]

_HASH_THREADS = 4


def graph_files(name: str) -> tuple[str, str]:
    """The files of a graph, as OpenVINO names them: its operations and its weights."""
    return f"{name}.xml", f"{name}.bin"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and contents of its files: the same for every copy of the bundle."""
        listed = sorted((name, entry.sha256) for name, entry in self.manifest.files.items())
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

    @property
    def label(self) -> str:
        """What to call it beside others: its recipe, "FP16" for one that is not compressed."""
        name = self.manifest.recipe.name
        return "FP16" if name == "none" else name

    def has(self, name: str) -> bool:
        """Whether the manifest lists this file, such as ``vision.xml``."""
        return name in self.manifest.files

    def path(self, name: str) -> Path:
        """The path of a listed file.

        Raises:
            BundleError: the manifest does not list it.
        """
        if not self.has(name):
            raise BundleError(f"{self.folder}: the bundle has no {name}, only {', '.join(self._listed())}")
        return self.folder / name

    def graph_digest(self, name: str) -> str:
        """SHA-256 over a graph's files: the same wherever the graph is the same.

        Raises:
            BundleError: the bundle has no such graph.
        """
        for file in graph_files(name):
            self.path(file)
        return hashlib.sha256(
            "".join(self.manifest.files[file].sha256 for file in graph_files(name)).encode()
        ).hexdigest()

    def verify(self, names: Iterable[str] | None = None) -> None:
        """Compare the SHA-256 of these listed files, or of all, with the manifest's.

        Raises:
            BundleError: a file is missing or damaged.
        """
        self._check(self.manifest.files if names is None else names, by_content=True)

    def check_sizes(self) -> None:
        """Check that every listed file is there in its full size.

        Raises:
            BundleError: a file is missing or cut off.
        """
        self._check(self.manifest.files, by_content=False)

    def _check(self, names: Iterable[str], by_content: bool) -> None:
        files = self.manifest.files
        with ThreadPoolExecutor(_HASH_THREADS) as pool:
            problems = pool.map(lambda name: _damage(self.folder, name, files[name], by_content), sorted(names))
            damaged = [problem for problem in problems if problem is not None]
        if damaged:
            more = f" (and {len(damaged) - 1} more damaged files)" if len(damaged) > 1 else ""
            raise BundleError(f"{self.folder}: the bundle is damaged: {damaged[0]}{more}; {OPTIMIZE_AGAIN}")

    def graph_size(self, name: str) -> int:
        """Bytes of a graph's weights: the size of ``{name}.bin``.

        Raises:
            BundleError: the bundle has no such graph.
        """
        self.path(f"{name}.bin")
        return self.manifest.files[f"{name}.bin"].size

    def _listed(self) -> list[str]:
        return sorted(self.manifest.files) or ["no file"]


def open_bundle(path: str | Path, *, verify: bool = True) -> Bundle:
    """Open a bundle.

    Args:
        path: its folder.
        verify: compare the SHA-256 of every listed file. That each is there in its full size is checked always.

    Raises:
        BundleError: no such folder, not a bundle, an unreadable or newer manifest, or a missing or damaged file.
    """
    folder = Path(path)
    manifest_path = folder / MANIFEST_FILE
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "no such folder"
        aside = None if folder.exists() else moved_aside(folder)
        if aside is not None:
            raise BundleError(f"{folder}: was moved to {aside.name} by an optimize that was stopped; rename it back")
        if str(path) in EMBEDDED:
            raise BundleError(f"{path} is a checkpoint; optimize it first: blipvino optimize {path} -o BUNDLE")
        raise BundleError(f"{folder}: {problem}; expected a bundle folder, as `blipvino optimize` writes it")
    if not manifest_path.is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST_FILE}; make one with `blipvino optimize`")
    try:
        text = manifest_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{manifest_path}: cannot be read ({error}); {OPTIMIZE_AGAIN}") from error
    manifest = Manifest.from_json(text, manifest_path)
    bundle = Bundle(folder, manifest)
    if verify:
        bundle.verify()
    else:
        bundle.check_sizes()
    return bundle


def _damage(folder: Path, name: str, expected: FileEntry, verify: bool) -> str | None:
    """What is wrong with a listed file, or None."""
    path = folder / name
    try:
        if not path.is_file():
            return f"{name} is missing"
        size = path.stat().st_size
        if size != expected.size:
            return f"{name} has {size} bytes, expected {expected.size}"
        if verify and sha256_of(path) != expected.sha256:
            return f"{name} has changed: its SHA-256 is not the manifest's"
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"
    return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in lowercase hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
