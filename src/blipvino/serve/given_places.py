"""What is to be served, as the command line has it: bundles, checkpoints and indexes, with or without names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from blipvino.errors import InputError
from blipvino.retrieval.index_manifest import IndexManifest, is_index
from blipvino.runtime.reading import find_bundle
from blipvino.serve.serve_settings import Place

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})=(.+)")
_OTHERS = re.compile(r"[^A-Za-z0-9._-]+")


def served_places(
    given: Sequence[str], folder_of: Callable[[str], Path]
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """The models and the indexes, each with its name. The bundle that an index needs is added.

    Args:
        given: each a bundle, a checkpoint or an index, or ``NAME=`` and one.
        folder_of: finds a bundle's folder, be it that of a checkpoint.

    Raises:
        BlipvinoError: one is neither.
    """
    models, indexes = list[Place](), list[Place]()
    for each in given:
        named = None if Path(each).exists() else _NAMED.fullmatch(each)
        source = named[2] if named else each
        if is_index(Path(source)):
            indexes.append(Place(named[1] if named else name_of(source), Path(source)))
        else:
            models.append(Place(named[1] if named else name_of(source), folder_of(source)))
    for index in indexes:
        made = IndexManifest.read(index.folder).bundle
        if made.fingerprint not in {find_bundle(model.folder).fingerprint for model in models}:
            folder = folder_of(made.source)
            IndexManifest.read(index.folder).check_bundle(find_bundle(folder), index.folder)
            models.append(Place(_free(name_of(made.source), models), folder))
    return tuple(models), tuple(indexes)


def name_of(source: str) -> str:
    """What a bundle, a checkpoint or an index is called by itself: the last part of its path or id.

    Raises:
        InputError: it has no letters that a name may have.
    """
    last = Path(source).name or Path(source).resolve().name
    name = _OTHERS.sub("-", last).strip("-.")
    if not name:
        raise InputError(f"{source}: of this no name can be made; give one: NAME={source}")
    return name


def _free(name: str, models: Sequence[Place]) -> str:
    taken = {model.name for model in models}
    return next(each for each in (name, *(f"{name}-{number}" for number in range(2, 100))) if each not in taken)
