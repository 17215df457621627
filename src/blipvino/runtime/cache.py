"""Compiled graphs that are kept between starts."""

from __future__ import annotations

import logging
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from blipvino.errors import OutputError
from blipvino.output import make_folder, write_bytes

logger = logging.getLogger(__name__)


def default_cache() -> Path:
    """The user's cache folder for compiled graphs: ``$XDG_CACHE_HOME/blipvino``, else ``~/.cache/blipvino``.

    Its files are named after all that they depend on, so nothing goes stale; it may be deleted at any time.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blipvino"


def load_compiled(
    core: ov.Core, path: Path, properties: Mapping[str, Any]
) -> tuple[ov.CompiledModel, mmap.mmap] | None:
    """A compiled graph from the cache; None if it is not there or OpenVINO does not take it.

    OpenVINO's own model cache reads and hashes the graph first; this leaves the graph's files alone, which is faster
    and takes less memory. The file's pages are given back at once: what the compiled graph did not copy (tables that
    it looks up) it reads again where it needs it.

    Returns:
        The graph, and the memory that must live as long as it.
    """
    if not path.is_file() or not path.stat().st_size:  # an empty file: what a crash may leave
        return None
    with path.open("rb") as file:
        blob = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # OpenVINO asks for writable memory
    try:
        compiled = core.import_model(ov.Tensor(np.frombuffer(blob, np.uint8), shared_memory=True), "CPU", properties)
    except RuntimeError as error:
        logger.warning("%s: not usable, so the graph is compiled again (%s)", path, str(error).strip().splitlines()[-1])
        return None
    if hasattr(mmap, "MADV_DONTNEED"):
        blob.madvise(mmap.MADV_DONTNEED)
    return compiled, blob


def save_compiled(model: ov.CompiledModel, path: Path) -> None:
    """Put a compiled graph into the cache, whole or not at all. A full disk costs no more than the cache."""
    try:
        make_folder(path.parent)
        write_bytes(path, model.export_model().getbuffer())
    except OutputError as error:
        logger.warning("%s; compiled graphs are not kept", error)
