"""What a shell offers for the values of options, as typer's ``autocompletion`` asks for it.

typer itself keeps of what is returned that which begins as the typed word does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from blipvino.data.sources import AUTO_SOURCE, FORMS, GENERATED
from blipvino.demo.scenes import Split
from blipvino.graphs.recipes import AUTO, RECIPE_NAMES, SEARCH_SUMMARY, find_recipe

Completions = list[tuple[str, str]]
"""Values, each with what a shell may show beside it."""


def complete_recipe() -> Completions:
    """Names of recipes, "auto" included."""
    return [*_recipes(), (AUTO, SEARCH_SUMMARY)]


def complete_recipes(incomplete: str) -> Completions:
    """A list of recipes with commas, its last one being typed; a search is none of them."""
    return _complete_last(incomplete, _recipes())


def complete_contenders(incomplete: str) -> Completions:
    """A list of contenders of the benchmark with commas, its last one being typed."""
    from blipvino.measure.race.contenders import contender_specs

    return _complete_last(incomplete, [(one.name, one.label) for one in contender_specs(RECIPE_NAMES).values()])


def complete_source() -> Completions:
    """Sample sources: the demo's splits and generated pictures in full, and how those of other kinds begin."""
    splits = [(f"demo:{split}", "") for split in get_args(Split)]
    others = [(f"{kind}:", form) for kind, form in FORMS.items() if kind not in GENERATED]
    return [*splits, ("natural", "generated pictures with the statistics of photographs"), *others]


def complete_calibration() -> Completions:
    """Sources of calibration: that which fits the checkpoint, and any other."""
    return [(AUTO_SOURCE, "demo for the demo, natural for all others"), *complete_source()]


def complete_device() -> Completions:
    """Devices of this machine, and OpenVINO's choice among them."""
    from blipvino.machine.core import openvino_core
    from blipvino.machine.devices import present_devices

    devices = [(device.name, device.full_name) for device in present_devices(openvino_core())]
    return [*devices, ("AUTO", "the best of them")]


def complete_decide_by() -> list[str]:
    """What a search may decide by."""
    from blipvino.optimization.search.options import DecideBy

    return list(get_args(DecideBy))


def _recipes() -> Completions:
    return [(name, find_recipe(name).summary) for name in RECIPE_NAMES]


def _complete_last(incomplete: str, choices: Iterable[tuple[str, str]]) -> Completions:
    listed, comma, _ = incomplete.rpartition(",")
    taken = listed.split(",")
    return [(f"{listed}{comma}{name}", text) for name, text in choices if name not in taken]
