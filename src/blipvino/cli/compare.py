"""``blipvino compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import (
    BundleArgument,
    DataOption,
    JsonFlag,
    MaxNewTokensOption,
    OriginalOption,
    QuietFlag,
    SeedOption,
)
from blipvino.cli.output import print_json, print_measured
from blipvino.data.samples import DEFAULT_SEED

SamplesOption = Annotated[int, typer.Option(help="Questions (or images without any) whose answers are compared.")]
LatencySamplesOption = Annotated[int, typer.Option(help="Samples that are timed.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for comparison.json and pictures.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino compare blip-vqa --data folder:photos --json > comparison.json")
def compare(
    bundle: BundleArgument,
    original: OriginalOption = None,
    data: DataOption = "demo:test",
    samples: SamplesOption = 100,
    latency_samples: LatencySamplesOption = 100,
    max_new_tokens: MaxNewTokensOption = None,
    seed: SeedOption = DEFAULT_SEED,
    output: OutputOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Compare a bundle with its original: size, latency, answers."""
    from blipvino.measure.comparison import CompareOptions, compare_with
    from blipvino.measure.report.comparison_tables import comparison_tables
    from blipvino.measure.report.result_folders import write_comparison

    options = CompareOptions(samples, latency_samples, max_new_tokens, seed)
    comparison = compare_with(original, bundle_folder(bundle, quiet=quiet), data, options, show_progress=not quiet)
    if as_json:
        print_json(comparison.to_json())
    else:
        print_measured(comparison_tables(comparison))
    if output is not None:
        write_comparison(comparison, output)
