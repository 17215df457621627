"""Where compiled graphs are kept between starts."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache() -> Path:
    """The user's cache folder for compiled graphs: ``$XDG_CACHE_HOME/blipvino``, else ``~/.cache/blipvino``.

    OpenVINO finds a compiled graph there by its content, shapes, settings and version, so nothing in it goes stale;
    it may be deleted at any time.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blipvino"
