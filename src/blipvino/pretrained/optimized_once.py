"""A checkpoint's bundle: optimized the first time, found in the cache afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from blipvino.bundle.bundle import Bundle
from blipvino.bundle.manifest import MANIFEST_FILE, SCHEMA_VERSION
from blipvino.checkpoint.config import parse_config
from blipvino.checkpoint.tensors import CONFIG_FILE, load_checkpoint, read_raw_config
from blipvino.demo import NAMES as EMBEDDED
from blipvino.errors import CheckpointError, InputError
from blipvino.graphs.recipes import DEFAULT_RECIPE
from blipvino.machine.versions import installed_version
from blipvino.pretrained.bundle_cache import BundleCache
from blipvino.pretrained.checkpoint_state import (
    Source,
    check_hub_id,
    folder_source,
    is_checkpoint_folder,
    is_commit,
    named_path,
)
from blipvino.progress import Reporter
from blipvino.recipe import Recipe
from blipvino.runtime.compiling.cache import default_cache
from blipvino.runtime.reading import find_bundle

if TYPE_CHECKING:
    from blipvino.optimization.calibration_source import CalibrationOptions
    from blipvino.optimization.search.options import Search


@dataclass(frozen=True)
class Wanted:
    """What is asked of a checkpoint.

    Attributes:
        recipe: by its name, or itself.
        revision: branch, tag or commit on the hub.
        token: access token for the hub; its own settings by default.
        calibration: the samples that quantization sees; None is what `optimize` takes by itself.
        photos: gives files to calibrate on instead, asked when the checkpoint is optimized; not of the demo, which
            knows no photographs. They do not decide which bundle is found.
        check: given the checkpoint's class before it is optimized; raises where one of that class is of no use.
    """

    recipe: str | Recipe | Search = DEFAULT_RECIPE
    revision: str | None = None
    token: str | None = None
    calibration: CalibrationOptions | None = None
    photos: Callable[[], Sequence[str | Path]] | None = None
    check: Callable[[str], None] | None = None

    @property
    def is_default(self) -> bool:
        """Whether nothing is asked for that a bundle may not be."""
        return replace(self, photos=None, check=None) == Wanted()


def bundle_of(
    source: str | Path, wanted: Wanted | None = None, *, cache: Path | None = None, show_progress: bool = True
) -> Bundle:
    """The bundle itself where the source is one; else the checkpoint's, optimized once into the cache.

    What is kept is found again by the checkpoint's state (its commit, or names, sizes and times of a folder's files,
    or the content of an embedded one's), the recipe, the calibration that was asked for, and the versions of blipvino,
    OpenVINO and NNCF. Two processes that want the same make it once: the second waits. Where the hub cannot be
    reached, a revision is what it was when the hub was last asked.

    Args:
        source: a bundle's folder, a checkpoint's folder, a hub id, ``demo`` or ``demo-retrieval``.
        wanted: how the checkpoint is optimized; by default by the recipe "int8".
        cache: the folder of the cache; by default the user's.
        show_progress: show on standard error what is done.

    Returns:
        The bundle, opened and not yet verified.

    Raises:
        BlipvinoError: the source is neither, the hub refuses it, or as `optimize`.
        InputError: options of a checkpoint were given for a bundle.
    """
    if (named_path(source) / MANIFEST_FILE).is_file():
        if wanted is not None and not wanted.is_default:
            raise InputError(f"{source} is a bundle, made already: recipe, revision and calibration are of checkpoints")
        return find_bundle(named_path(source))
    wanted = wanted or Wanted()
    kept, reporter = BundleCache(cache or default_cache()), Reporter(show_progress)
    found = _source(source, wanted, kept, reporter)
    place = kept.place(f"{found.short_name}-{_recipe_name(wanted)}", _key(found, wanted))
    bundle = kept.find(place)
    if bundle is not None:
        return bundle
    with kept.making(place, reporter):
        bundle = kept.find(place)
        if bundle is None:
            bundle = _optimize(found, wanted, place, reporter)
    return bundle


def _optimize(source: Source, wanted: Wanted, place: Path, reporter: Reporter) -> Bundle:
    from blipvino.optimization.optimize import optimize  # noqa: PLC0415  # brings NNCF, which takes seconds

    if wanted.check is not None:
        wanted.check(_architecture(source, wanted.token))
    reporter.say(f"{source.name} is optimized once, and kept in {place}")
    return optimize(
        source.name,
        place,
        recipe=wanted.recipe,
        calibration=wanted.calibration or _photos(source, wanted, reporter),
        overwrite=place.exists(),  # one that is damaged
        revision=source.revision,
        token=wanted.token,
        show_progress=reporter.show,
    )


def _architecture(source: Source, token: str | None) -> str:
    """The checkpoint's class, of which its configuration alone is read."""
    if source.revision is None:
        folder = named_path(source.name)
    else:
        from blipvino.checkpoint.hub import download  # noqa: PLC0415  # takes long to import

        folder = download(source.name, [CONFIG_FILE], revision=source.revision, token=token, show_progress=False)
    return parse_config(read_raw_config(folder, source.name), source.name).architecture


def _photos(source: Source, wanted: Wanted, reporter: Reporter) -> CalibrationOptions | None:
    """The photos that were given, as samples; None where none were, or they are no use."""
    if wanted.photos is None or source.name in EMBEDDED:
        return None
    from blipvino.data.photographs import photo_source  # noqa: PLC0415  # beside the next
    from blipvino.optimization.calibration_source import CalibrationOptions  # noqa: PLC0415  # brings NNCF

    return CalibrationOptions(photo_source(wanted.photos(), reporter))


def _source(name: str | Path, wanted: Wanted, kept: BundleCache, reporter: Reporter) -> Source:
    """What the checkpoint is now."""
    if is_checkpoint_folder(name):
        if wanted.revision is not None:
            raise InputError(f"{name} is a folder, which has no revision {wanted.revision!r}; leave it out")
        return folder_source(name)
    check_hub_id(name)
    try:
        return _hub_source(str(name), wanted, kept, reporter)
    except CheckpointError as error:  # an id may be a folder's name that is misspelt
        raise CheckpointError(f"{name} is no folder here, so it was asked of the hub: {error}") from error


def _hub_source(repo_id: str, wanted: Wanted, kept: BundleCache, reporter: Reporter) -> Source:
    from blipvino.checkpoint.hub import HubUnreachableError, resolve_commit  # noqa: PLC0415  # takes long to import

    if is_commit(wanted.revision):
        return Source(repo_id, str(wanted.revision), wanted.revision)
    try:
        commit = resolve_commit(repo_id, revision=wanted.revision, token=wanted.token)
    except HubUnreachableError as error:
        last = kept.last_commit(repo_id, wanted.revision)
        if last is None:  # the hub's own cache may have it
            asked = {"revision": wanted.revision, "token": wanted.token}
            with load_checkpoint(repo_id, **asked, show_progress=False) as checkpoint:
                last = str(checkpoint.revision)
        reporter.say(f"{error}; going on with commit {last[:8]}, which it was last")
        return Source(repo_id, last, last)
    kept.keep_commit(repo_id, wanted.revision, commit)
    return Source(repo_id, commit, commit)


def _recipe_name(wanted: Wanted) -> str:
    if isinstance(wanted.recipe, str):
        return wanted.recipe
    return wanted.recipe.name if isinstance(wanted.recipe, Recipe) else "auto"


def _key(source: Source, wanted: Wanted) -> str:
    """All that a bundle depends on."""
    recipe = wanted.recipe
    parts = {
        "source": source.name,
        "state": source.state,
        "recipe": recipe.to_json() if isinstance(recipe, Recipe) else repr(recipe),
        "calibration": None if wanted.calibration is None else asdict(wanted.calibration),
        "format": SCHEMA_VERSION,
        "versions": {name: installed_version(name) for name in ("blipvino", "openvino", "nncf")},
    }
    return json.dumps(parts, sort_keys=True, default=str)
