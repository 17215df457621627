"""The command that makes a bundle, as the shell takes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blipvino.bundle.manifest import Manifest
from blipvino.bundle.writing import BundleDetails
from blipvino.data.sources import GENERATED
from blipvino.graphs.recipes import AUTO, RECIPE_NAMES, find_recipe
from blipvino.recipe import Recipe

Made = BundleDetails | Manifest
"""What tells how a bundle was made."""


def optimize_command(made: Made, folder: Path | str, *, source: str | None = None) -> str:
    """The command that makes such a bundle; ``source`` is another name for its checkpoint."""
    recipe, calibration, search = made.recipe, made.calibration, made.measurements.search
    options: dict[str, Any] = {"output": folder, "recipe": recipe.name, "group-size": _group_size(recipe)}
    if made.source.revision is not None:
        options["revision"] = made.source.revision
    if calibration is not None:
        options |= {
            "calibration": calibration.source,
            "samples": calibration.samples,
            "seed": calibration.seed,
        }
    if search is not None:
        options |= {"max-drop": f"{search.max_drop:g}", "decide-by": search.decide_by}
        options |= {"validation-samples": search.samples}
        if calibration is not None and search.source != calibration.source:
            options["validation"] = search.source
    return shell_command("optimize", source or made.source.name, options)


def remarks(made: Made) -> Iterator[str]:
    """What the command that makes the bundle cannot say."""
    name = made.recipe.name
    if name != AUTO and (name not in RECIPE_NAMES or not _is_listed(made.recipe)):
        yield "The recipe is not one of the command line's: manifest.json has every option of it."
    sources = [record.source for record in (made.calibration, made.measurements.search) if record]
    if any(source.partition(":")[0] not in GENERATED for source in sources):
        yield "Of sample sources a short name is kept; write it out in full, with the folder of its images."


def shell_command(verb: str, first: Path | str, options: Mapping[str, Any]) -> str:
    """A command of blipvino, quoted for the shell; options that are None are left out."""
    given = ((name, str(value)) for name, value in options.items() if value is not None)
    words = [word for name, value in given for word in (f"--{name}", value)]
    return shlex.join(["blipvino", verb, str(first), *words])


def _group_size(recipe: Recipe) -> int | None:
    """The group size of 4-bit weights where it is not the recipe's own; a search chooses its own."""
    sizes = {treatment.group_size for treatment in recipe.treatments.values() if treatment.group_size}
    own = find_recipe(recipe.name) if recipe.name in RECIPE_NAMES else recipe
    usual = {treatment.group_size for treatment in own.treatments.values()}
    changed = sizes - usual
    return changed.pop() if len(changed) == 1 else None


def _is_listed(recipe: Recipe) -> bool:
    """Whether it is the command line's recipe of its name, perhaps with another group size."""
    own, size = find_recipe(recipe.name), _group_size(recipe)
    expected = (own if size is None else own.with_group_size(size)).treatments
    return all(treatment == expected.get(graph) for graph, treatment in recipe.treatments.items())
