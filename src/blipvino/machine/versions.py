"""The versions of installed libraries."""

from __future__ import annotations

from importlib import metadata

_RECORDED_LIBRARIES = ("openvino", "nncf", "tokenizers", "numpy")


def library_versions() -> dict[str, str]:
    """The installed versions of the libraries that decide what a bundle's graphs compute."""
    return {name: installed_version(name) for name in _RECORDED_LIBRARIES}


def installed_version(name: str) -> str:
    """A package's version, or "not installed"."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # a source tree on the path has no metadata; the manifest says so
        return "not installed"
