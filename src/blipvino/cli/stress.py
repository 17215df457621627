"""``blipvino stress``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from blipvino.cli.options import CheckpointArgument, JsonFlag, QuietFlag, RevisionOption
from blipvino.cli.output import print_json

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The new checkpoint's folder.")]
FactorOption = Annotated[float, typer.Option(help="How many times larger a chosen channel becomes.")]
ChannelsOption = Annotated[int, typer.Option(help="Channels that are chosen of each site.")]
ValuesFlag = Annotated[bool, typer.Option(help="Scale attention values too: text layers have no other site.")]
SeedOption = Annotated[int, typer.Option(help="Of the choice.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino stress demo -o out/stressed --factor 50 --channels 4")
def stress(
    source: CheckpointArgument,
    output: OutputOption,
    factor: FactorOption = 50.0,
    channels: ChannelsOption = 4,
    values: ValuesFlag = True,
    seed: SeedOption = 0,
    revision: RevisionOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a checkpoint that computes the same with outlier channels, which are hard to quantize."""
    from blipvino.checkpoint.tensors import load_checkpoint
    from blipvino.compress.outliers import OutlierOptions, add_outliers
    from blipvino.demo import resolve
    from blipvino.graphs.specs import graph_names

    options = OutlierOptions(factor, channels, values, seed)
    with load_checkpoint(resolve(source), revision=revision, show_progress=not quiet) as checkpoint:
        graph_names(checkpoint.config.architecture, source)  # what nothing can optimize needs no outliers
        scaled = add_outliers(checkpoint, output, options)
    if as_json:
        print_json({"folder": str(output), **asdict(options), "sites": [asdict(site) for site in scaled]})
    else:
        typer.echo(f"{output}: {channels} channels of each of {len(scaled)} sites are {factor:g} times larger")
