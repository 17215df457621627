"""The recipes that have a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from blipvino.errors import InputError
from blipvino.graphs.specs import GRAPHS, GraphSpec
from blipvino.recipe import FP16, PTQ_MINMAX, WEIGHTS_INT4, Recipe, Treatment

DEFAULT_RECIPE = "int8"
AUTO = "auto"
"""What a search finds is called; see `blipvino.optimization.search`."""
SEARCH_SUMMARY = "the fastest within a limit of accuracy, found by measurement on this machine"


def _default(spec: GraphSpec) -> Treatment:
    return spec.default


def _decoder_in_4_bits(spec: GraphSpec) -> Treatment:
    return WEIGHTS_INT4 if spec.makes_texts else spec.default


def _plainest(spec: GraphSpec) -> Treatment:
    return PTQ_MINMAX if spec.default.method == "ptq_int8" else spec.default


def _uncompressed(spec: GraphSpec) -> Treatment:
    return FP16


_NAMED: Mapping[str, tuple[str, Callable[[GraphSpec], Treatment]]] = {
    "int8": ("8-bit encoders, 8-bit decoder weights, as in OpenVINO's BLIP tutorial", _default),
    "int8-int4": ("8-bit encoders, 4-bit decoder weights", _decoder_in_4_bits),
    "minmax": ("as int8, of the plainest kind: a baseline", _plainest),
    "none": ("the original in FP16, nothing quantized", _uncompressed),
}
"""What each says of itself, and what it does to a graph. A new recipe is a further entry."""

RECIPE_NAMES = tuple(_NAMED)


def find_recipe(name: str) -> Recipe:
    """The recipe of this name, with a treatment for every graph there is.

    Raises:
        InputError: there is none.
    """
    if name not in _NAMED:
        raise InputError(f"no recipe {name!r}; expected one of {', '.join(RECIPE_NAMES)}, {AUTO}")
    summary, treat = _NAMED[name]
    return Recipe(name, summary, {spec.name: treat(spec) for spec in GRAPHS.values()})


def check_recipe(recipe: Recipe, names: tuple[str, ...]) -> None:
    """Refuse a recipe that cannot be applied to a checkpoint's graphs.

    Raises:
        InputError: a graph has no treatment; or the activations of one with a state would be quantized.
    """
    for name in names:
        if name not in recipe.treatments:
            raise InputError(f"recipe {recipe.name!r}: no treatment for {name}; expected one for each graph")
        if GRAPHS[name].has_state and recipe.treatments[name].method == "ptq_int8":
            raise InputError(f"recipe {recipe.name!r}: {name} cannot be ptq_int8; choose weights_int8 or weights_int4")
