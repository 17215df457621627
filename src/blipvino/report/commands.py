"""The commands that make a bundle and measure it again, as the shell takes them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blipvino.bundle import BundleDetails
from blipvino.compress.recipe import AUTO, RECIPES, Treatment
from blipvino.manifest import Manifest

if TYPE_CHECKING:  # it brings the optimizer, which writes commands into the bundle's card
    from blipvino.report.results import Report

Made = BundleDetails | Manifest
"""What tells how a bundle was made."""


def optimize_command(made: Made, folder: Path | str, *, source: str | None = None) -> str:
    """The command that makes such a bundle; ``source`` is another name for its checkpoint."""
    recipe, calibration, search = made.recipe, made.calibration, (made.measurements or {}).get("search")
    options: dict[str, Any] = {"output": folder, "recipe": recipe.get("name"), "group-size": _group_size(recipe)}
    if made.source.revision is not None:
        options["revision"] = made.source.revision
    if calibration is not None:
        options |= {
            "calibration": calibration["source"],
            "samples": calibration["samples"],
            "seed": calibration["seed"],
        }
    if search is not None:
        options |= {"max-drop": f"{search['max_drop']:g}", "decide-by": search["decide_by"]}
        options |= {"validation-samples": search["samples"]}
        if calibration is not None and search["source"] != calibration["source"]:
            options["validation"] = search["source"]
    return _command("optimize", source or made.source.name, options)


def evaluate_command(report: Report) -> str:
    """The command that measures accuracy, as the report did."""
    evaluation = report.evaluation
    options: dict[str, Any] = {"data": evaluation.data.source}
    if evaluation.options is not None:
        asked = evaluation.options
        options |= {"samples": asked.samples, "captions": asked.captions, "max-new-tokens": asked.max_new_tokens}
        options |= {"num-beams": asked.num_beams, "seed": asked.seed, "answers": asked.answers}
    return _command("evaluate", report.bundle.folder, options)


def report_command(report: Report) -> str:
    """The command that makes the report."""
    asked = report.options
    options = {
        "data": report.data,
        "samples": asked.samples,
        "captions": asked.captions,
        "latency-samples": asked.latency_samples,
        "diagnose-samples": asked.diagnose_samples,
        "max-new-tokens": asked.max_new_tokens,
        "seed": asked.seed,
        "output": "report.html",
    }
    return _command("report", report.bundle.folder, options)


def remarks(made: Made) -> Iterator[str]:
    """What the command that makes the bundle cannot say."""
    name = made.recipe.get("name")
    if name != AUTO and (name not in RECIPES or not _is_listed(made.recipe)):
        yield "The recipe is not one of the command line's: manifest.json has every option of it."
    sources = [record["source"] for record in (made.calibration, (made.measurements or {}).get("search")) if record]
    if any(not source.startswith("demo") for source in sources):
        yield "Of sample sources a short name is kept; write it out in full, with the folder of its images."


def _command(verb: str, first: Path | str, options: Mapping[str, Any]) -> str:
    """Options that are None are left out."""
    given = ((name, str(value)) for name, value in options.items() if value is not None)
    words = [word for name, value in given for word in (f"--{name}", value)]
    return shlex.join(["blipvino", verb, str(first), *words])


def _group_size(recipe: Mapping[str, Any]) -> int | None:
    """The group size of 4-bit weights where it is not the recipe's own; a search chooses its own."""
    sizes = {treatment["group_size"] for treatment in recipe["treatments"].values() if treatment.get("group_size")}
    own = RECIPES.get(recipe["name"])
    usual = {treatment.group_size for treatment in own.treatments.values()} if own else sizes
    changed = sizes - usual
    return changed.pop() if len(changed) == 1 else None


def _is_listed(recipe: Mapping[str, Any]) -> bool:
    """Whether it is the command line's recipe of its name, perhaps with another group size."""
    own, size = RECIPES[recipe["name"]], _group_size(recipe)
    expected = (own if size is None else own.with_group_size(size)).treatments
    return all(Treatment.from_json(content) == expected.get(graph) for graph, content in recipe["treatments"].items())
