"""The bundle that a command is given: a folder, or a checkpoint, which is optimized into one the first time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from blipvino.runtime.compiling.cache import default_cache

if TYPE_CHECKING:
    from blipvino.pretrained.optimized_once import Wanted


def bundle_folder(
    given: Path,
    *,
    quiet: bool = False,
    cache: Path | None = None,
    wanted: Wanted | None = None,
    check: Callable[[str, Path], None] | None = None,
) -> Path:
    """The folder of the bundle.

    Args:
        given: on the command line: a bundle's folder, a checkpoint's, a hub id, or an embedded checkpoint's name.
        quiet: whether optimizing shows no progress.
        cache: where bundles of checkpoints are kept; by default where the user keeps them.
        wanted: how a checkpoint is optimized.
        check: given its class, and it as it was given; raises where it is of no use. A checkpoint is looked at before
            the minutes that optimizing it may take.

    Raises:
        BlipvinoError: it is neither, or cannot be optimized.
    """
    from blipvino.pretrained.optimized_once import Wanted, bundle_of

    if check is not None:
        wanted = replace(wanted or Wanted(), check=lambda architecture: check(architecture, given))
    bundle = bundle_of(str(given), wanted, cache=cache or default_cache(), show_progress=not quiet)
    if check is not None:  # what was found in the cache is called as it was given, too
        check(bundle.manifest.architecture, given)
    return bundle.folder
