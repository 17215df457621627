"""``blipvino info``, and what a bundle holds as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.records import ConfidenceRecord, FittedConfidence
from blipvino.bundle.search_record import SearchRecord
from blipvino.checkpoint.architectures import answers_questions, retrieves
from blipvino.cli import output
from blipvino.cli.cache import bundle_line, cache_line
from blipvino.cli.index_info import print_index_info
from blipvino.cli.options import DEFAULT_CACHE, CacheOption, JsonFlag
from blipvino.graphs.recipes import AUTO, RECIPE_NAMES, SEARCH_SUMMARY, find_recipe
from blipvino.graphs.specs import GRAPHS
from blipvino.graphs.terms import terms_table
from blipvino.machine.core import openvino_core
from blipvino.machine.devices import present_devices
from blipvino.machine.host import choose_arithmetic
from blipvino.recipe import Treatment
from blipvino.retrieval.index_manifest import is_index
from blipvino.runtime.compiling.cache import CompiledCache, cache_limit
from blipvino.runtime.compiling.measured_choices import MeasuredChoice, measured_choices
from blipvino.text.tables import TextTable

OptionalBundle = Annotated[
    Path | None, typer.Argument(help="A bundle, or an index of photos; without it, recipes and devices are listed.")
]

app = typer.Typer()


@app.command(epilog="Example: blipvino info blip-vqa")
def info(bundle: OptionalBundle = None, cache: CacheOption = DEFAULT_CACHE, as_json: JsonFlag = False) -> None:
    """Show what a bundle holds, after checking that it is whole, or an index; or list the recipes, and the devices of
    this machine.

    Tells the cache's size, too.
    """
    if bundle is not None and is_index(bundle):
        print_index_info(bundle, as_json)
    elif bundle is not None:
        opened, kept = open_bundle(bundle), CompiledCache(cache)
        print_info(opened, as_json, measured_choices(kept, opened))
        if not as_json:
            typer.echo(bundle_line(kept, opened))
    elif as_json:
        recipes = [find_recipe(name).to_json() for name in RECIPE_NAMES]
        output.print_json({"recipes": recipes, "here": _here()})
    else:
        for name in RECIPE_NAMES:
            typer.echo(find_recipe(name).describe())
        typer.echo(f"{AUTO}: {SEARCH_SUMMARY}")
        every = (str(treatment) for name in RECIPE_NAMES for treatment in find_recipe(name).treatments.values())
        output.print_tables([terms_table(GRAPHS, every)])
        typer.echo(f"this machine: {choose_arithmetic().reason}")
        for device in present_devices(openvino_core()):
            typer.echo(f"device {device}")
        typer.echo(cache_line(CompiledCache(cache, cache_limit())))


def print_info(bundle: Bundle, as_json: bool, measured: Sequence[MeasuredChoice] = ()) -> None:
    """Print what a bundle holds, and how this machine computes it."""
    if as_json:
        here = {**_here(), "measured": [each.to_json() for each in measured]}
        output.print_json({"folder": str(bundle.folder), "here": here, **json.loads(bundle.manifest.to_json())})
        return
    manifest, choice = bundle.manifest, choose_arithmetic()
    typer.echo(f"{bundle.folder}: {manifest.architecture} from {manifest.source.name}, every file whole")
    typer.echo(f"recipe {manifest.recipe.name}, blipvino {manifest.blipvino_version}, {manifest.created}")
    typer.echo(f"this machine: {choice.reason}")
    if manifest.calibration:
        recorded = manifest.calibration.to_json()
        typer.echo("calibrated on " + ", ".join(f"{key} {value}" for key, value in recorded.items()))
    table = Table("graph", "treatment", "weights, KB", "compression rate")
    originals = manifest.measurements.fp16_bytes
    for graph, treatment in _treatments(bundle).items():
        size = bundle.graph_size(graph)
        rate = f"{originals[graph] / size:.3f}" if graph in originals else ""
        table.add_row(graph, str(treatment), f"{size / 1024:,.2f}", rate)
    output.console.print(table)
    output.print_tables([_terms(bundle)])
    for each in measured:
        typer.echo(str(each))
    fitted = manifest.confidence or ConfidenceRecord()
    if answers_questions(manifest.architecture):
        typer.echo(f"confidence of answers: {_fitted(fitted.answers)}")
    if not retrieves(manifest.architecture):
        typer.echo(f"confidence of captions: {_fitted(fitted.captions)}")
    if manifest.measurements.search is not None:
        _print_search(manifest.measurements.search)


def _treatments(bundle: Bundle) -> dict[str, Treatment]:
    """Of each of its graphs."""
    treated = bundle.manifest.recipe.treatments.items()
    return {graph: treatment for graph, treatment in treated if bundle.has(f"{graph}.bin")}


def _terms(bundle: Bundle) -> TextTable:
    """The words of its graphs, and of all that a search tried on them."""
    treated, search = _treatments(bundle), bundle.manifest.measurements.search
    tried = [] if search is None else [each for trial in search.trials for each in trial.treatments.values()]
    return terms_table(treated, map(str, (*treated.values(), *tried)))


def _fitted(record: FittedConfidence | None) -> str:
    if record is None:
        return "uncalibrated; `blipvino calibrate` fits it"
    scale = f"temperature {record.temperature:.2f}, offset {record.offset:.2f}"
    return f"fitted on {record.samples:,} texts of {record.source}, {record.accuracy:.1%} of them right: {scale}"


def _here() -> dict[str, Any]:
    """What this machine does, and what it could compute on."""
    return {**asdict(choose_arithmetic()), "devices": [asdict(each) for each in present_devices(openvino_core())]}


def _print_search(record: SearchRecord) -> None:
    from blipvino.optimization.search.summary import search_summary, search_table

    output.print_tables([search_table(record)])
    for line in search_summary(record):
        typer.echo(line)
