"""Disk space: of models, and of what must be installed to run them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from blipvino.measure.race.speed_results import DiskSize

CORE = (
    *("archspec", "filelock", "huggingface_hub", "lxml", "nncf", "numpy", "openvino"),
    *("pillow", "rich", "safetensors", "tokenizers", "typer", "xxhash"),
)
"""What blipvino requires; a test compares it with pyproject.toml."""
INSTALLS = {
    "blipvino": CORE,
    "transformers and torch": ("transformers", "torch", "pillow"),
    "ONNX Runtime": ("onnxruntime", "numpy", "pillow", "tokenizers"),
}
"""Installations that are compared, by the requirements at their root."""


def total_bytes(paths: Iterable[Path]) -> int:
    """The size of files."""
    return sum(path.stat().st_size for path in paths)


def install_sizes() -> list[DiskSize]:
    """The size of every installation that is here, its requirements and theirs included."""
    sizes = ((name, install_bytes(roots)) for name, roots in INSTALLS.items())
    return [DiskSize(name, size) for name, size in sizes if size is not None]


def install_bytes(roots: Sequence[str]) -> int | None:
    """The size of installed packages with all that they require; None if a root is not installed."""
    try:
        for root in roots:
            metadata.distribution(root)
    except metadata.PackageNotFoundError:
        return None
    return sum(_distribution_bytes(name) for name in _closure(roots))


def _closure(roots: Sequence[str]) -> set[str]:
    found: set[str] = set()
    pending = [Requirement(root) for root in roots]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in found or not _applies(requirement):
            continue
        found.add(name)
        pending += [Requirement(line) for line in _requires(name)]
    return found


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # an optional part that is not installed takes no room
        return []


def _distribution_bytes(name: str) -> int:
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return 0
    paths = (Path(str(file.locate())) for file in files)
    return total_bytes(path for path in paths if path.is_file())
