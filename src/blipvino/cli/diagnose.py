"""``blipvino diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import BundleArgument, DataOption, JsonFlag, QuietFlag, SeedOption
from blipvino.cli.output import print_json, print_sentence, print_tables
from blipvino.cli.unused_options import refuse_unused
from blipvino.data.samples import DEFAULT_SEED
from blipvino.graphs.terms import SQNR

OriginalOption = Annotated[
    str | None, typer.Option(help="The checkpoint that it was made from; by default where it was then.")
]
SamplesOption = Annotated[int, typer.Option(help="Questions, or images of a source without any.")]
WorstOption = Annotated[int, typer.Option(help="Layers that are listed.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for diagnosis.json and diagnosis.svg.")
]

app = typer.Typer()


@app.command(epilog="Example: blipvino diagnose blip-vqa --data folder:photos -o diagnosis")
def diagnose(
    context: typer.Context,
    bundle: BundleArgument,
    data: DataOption = "demo:test",
    original: OriginalOption = None,
    samples: SamplesOption = 20,
    worst: WorstOption = 10,
    seed: SeedOption = DEFAULT_SEED,
    output: OutputOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show where a bundle's error comes from: the noise of each graph and layer, worst first."""
    from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle
    from blipvino.measure.report.diagnosis_tables import (
        diagnosis_tables,
        diagnosis_terms,
        host_explanation,
        summary,
    )
    from blipvino.measure.report.result_folders import write_diagnosis

    if as_json:
        refuse_unused(context, ("worst",), "with --json, which has every layer")
    options = DiagnoseOptions(samples, seed)
    diagnosis = diagnose_bundle(
        bundle_folder(bundle, quiet=quiet), data, options, original=original, show_progress=not quiet
    )
    if output is not None:
        write_diagnosis(diagnosis, output)
    if as_json:
        print_json(diagnosis.to_json())
        return
    tables = diagnosis_tables(diagnosis, worst)
    print_tables((*tables, diagnosis_terms(diagnosis)))
    print_sentence(SQNR)
    print_sentence(f"{summary(diagnosis)}.")
    if host := host_explanation(diagnosis):
        print_sentence(host)
