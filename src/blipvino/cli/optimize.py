"""``blipvino optimize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from blipvino.cli.completion import complete_calibration, complete_decide_by, complete_source
from blipvino.cli.info import print_info
from blipvino.cli.options import (
    CALIBRATION_HELP,
    CheckpointArgument,
    JsonFlag,
    QuietFlag,
    RecipeOption,
    RevisionOption,
    SeedOption,
)
from blipvino.cli.unused_options import refuse_unused
from blipvino.data.samples import DEFAULT_SAMPLES, DEFAULT_SEED
from blipvino.data.sources import AUTO_SOURCE
from blipvino.errors import InputError
from blipvino.graphs.recipes import AUTO, DEFAULT_RECIPE, find_recipe
from blipvino.recipe import Recipe

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The bundle's folder.")]
GroupSizeOption = Annotated[int | None, typer.Option(help="Weights that share a scale, of 4-bit weights.")]
CalibrationOption = Annotated[
    str,
    typer.Option(
        help=f"Samples for calibration: {CALIBRATION_HELP}; see docs/data.md.",
        autocompletion=complete_calibration,
    ),
]
SamplesOption = Annotated[int, typer.Option(help="Calibration samples.")]
MaxDropOption = Annotated[float | None, typer.Option(help="Of auto: points of accuracy that may be lost; 0.5.")]
ValidationOption = Annotated[
    str | None,
    typer.Option(
        help="Of auto: samples that recipes are judged by; by default calibration's others.",
        autocompletion=complete_source,
    ),
]
ValidationSamplesOption = Annotated[int | None, typer.Option(help="Of auto: how many of them; 1000.")]
SearchMinutesOption = Annotated[float | None, typer.Option(help="Of auto: no trial begins after so long.")]
DecideByOption = Annotated[
    str | None,
    typer.Option(
        help="Of auto: the measured drop (estimate), or the end of its 95% interval (bound).",
        autocompletion=complete_decide_by,
    ),
]
ForceFlag = Annotated[bool, typer.Option("--force", "-f", help="Replace an existing bundle.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino optimize Salesforce/blip-vqa-base -o blip-vqa --calibration folder:photos")
def optimize(
    context: typer.Context,
    source: CheckpointArgument,
    output: OutputOption,
    recipe: RecipeOption = DEFAULT_RECIPE,
    group_size: GroupSizeOption = None,
    calibration: CalibrationOption = AUTO_SOURCE,
    samples: SamplesOption = DEFAULT_SAMPLES,
    seed: SeedOption = DEFAULT_SEED,
    max_drop: MaxDropOption = None,
    validation: ValidationOption = None,
    validation_samples: ValidationSamplesOption = None,
    search_minutes: SearchMinutesOption = None,
    decide_by: DecideByOption = None,
    revision: RevisionOption = None,
    force: ForceFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Turn a BLIP checkpoint into a small, fast bundle."""
    from blipvino.optimization.optimize import CalibrationOptions
    from blipvino.optimization.optimize import optimize as run
    from blipvino.optimization.search.options import Search

    chosen = _chosen_recipe(recipe, group_size)
    if chosen is not None:
        _refuse_unused(context, chosen)
    sought: dict[str, Any] = {
        "max_drop": max_drop,
        "validation": validation,
        "validation_samples": validation_samples,
        "minutes": search_minutes,
        "decide_by": decide_by,
    }
    given = {name: value for name, value in sought.items() if value is not None}
    bundle = run(
        source,
        output,
        recipe=chosen or Search(seed=seed, **given),
        calibration=CalibrationOptions(calibration, samples, seed),
        overwrite=force,
        revision=revision,
        show_progress=not quiet,
    )
    print_info(bundle, as_json)


def _chosen_recipe(name: str, group_size: int | None) -> Recipe | None:
    """The recipe of this name, with another group size if one is given; None if it is to be searched for.

    Raises:
        InputError: there is none, or it has no groups.
    """
    if name != AUTO:
        return find_recipe(name) if group_size is None else find_recipe(name).with_group_size(group_size)
    if group_size is not None:
        raise InputError(f"recipe {AUTO!r} has no 4-bit weights to group; use int8-int4, or leave the size out")
    return None


def _refuse_unused(context: typer.Context, chosen: Recipe) -> None:
    """Refuse what the chosen recipe has no use for."""
    searching = ("max_drop", "validation", "validation_samples", "search_minutes", "decide_by")
    refuse_unused(context, searching, f"without --recipe {AUTO}")
    if not chosen.needs_calibration:
        calibrating = ("calibration", "samples", "seed")
        refuse_unused(context, calibrating, f"with --recipe {chosen.name}, which is not calibrated")
