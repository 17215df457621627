"""``blipvino report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blipvino.checkpoint.architectures import retrieves
from blipvino.cli.browser import open_page
from blipvino.cli.completion import complete_source
from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import (
    SOURCES_HELP,
    BundleArgument,
    JsonFlag,
    MaxNewTokensOption,
    OpenFlag,
    OriginalOption,
    QuietFlag,
    SeedOption,
)
from blipvino.cli.output import print_json, print_report_link
from blipvino.cli.unused_options import refuse_unused
from blipvino.data.samples import DEFAULT_SEED

OutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="The HTML file; what is measured is kept in a folder beside it.")
]
OptionalData = Annotated[
    str | None,
    typer.Option(
        help=f"Samples: {SOURCES_HELP}; by default --evaluation's or demo:test.",
        autocompletion=complete_source,
    ),
]
SamplesOption = Annotated[int, typer.Option(help="Questions that both models answer; 0 leaves answers out.")]
CaptionsOption = Annotated[int, typer.Option(help="Images that both models caption; 0 leaves captions out.")]
LatencySamplesOption = Annotated[int, typer.Option(help="Samples that are timed; 0 leaves latency out.")]
DiagnoseSamplesOption = Annotated[
    int, typer.Option(help="Samples that error by layer is measured on; 0 leaves it out.")
]
ImagesOption = Annotated[int, typer.Option(help="Of a bundle for retrieval: images that both models look through.")]
EvaluationOption = Annotated[
    Path | None, typer.Option(help="A folder of `blipvino evaluate`: taken as it is, or gone on with.")
]
DiagnosisOption = Annotated[Path | None, typer.Option(help="A file of `blipvino diagnose`, taken as it is.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino report blip-vqa --data folder:photos -o report.html --open")
def report(
    context: typer.Context,
    bundle: BundleArgument,
    output: OutputOption = Path("report.html"),
    data: OptionalData = None,
    original: OriginalOption = None,
    samples: SamplesOption = 500,
    captions: CaptionsOption = 100,
    latency_samples: LatencySamplesOption = 100,
    diagnose_samples: DiagnoseSamplesOption = 20,
    max_new_tokens: MaxNewTokensOption = None,
    seed: SeedOption = DEFAULT_SEED,
    evaluation: EvaluationOption = None,
    diagnosis: DiagnosisOption = None,
    images: ImagesOption = 500,
    show: OpenFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write one HTML file on a bundle: size, latency, accuracy with intervals, error by layer, samples."""
    from blipvino.measure.evaluation.evaluation_record import RESULTS_FILE
    from blipvino.measure.report.report import ReportOptions
    from blipvino.measure.report.write_report import ReportInputs, write_report
    from blipvino.runtime.reading import find_bundle

    if diagnosis is not None:
        refuse_unused(context, ("diagnose_samples",), "with --diagnosis, which is taken as it is")
    if evaluation is not None and (evaluation / RESULTS_FILE).is_file():
        evaluated = ("samples", "captions", "images", "max_new_tokens", "seed")
        refuse_unused(context, evaluated, "with an --evaluation that is complete, which is taken as it is")
    options = ReportOptions(samples, captions, latency_samples, diagnose_samples, max_new_tokens, seed, images)
    inputs = ReportInputs(original, evaluation, diagnosis)
    folder = bundle_folder(bundle, quiet=quiet)
    if retrieves(find_bundle(folder).manifest.architecture):
        refuse_unused(context, ("samples", "captions", "max_new_tokens"), "with a bundle for retrieval")
    else:
        refuse_unused(context, ("images",), "without a bundle for retrieval")
    made = write_report(folder, output, data, options, inputs, show_progress=not quiet)
    if as_json:
        print_json({"report": str(output), **made.cost.to_json(), "evaluation": made.evaluation.to_json()})
    else:
        print_report_link(output)
    if show:
        open_page(output)
