"""``blipvino demo``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blipvino.cli.browser import open_address, open_page
from blipvino.cli.options import JsonFlag, OpenFlag, QuietFlag, RecipeOption
from blipvino.cli.output import print_error, print_json, print_line, print_report_link, print_sentence, print_tables
from blipvino.cli.serve import check_installed, run_server
from blipvino.cli.unused_options import is_given, refuse_unused
from blipvino.errors import BlipvinoError
from blipvino.graphs.recipes import DEFAULT_RECIPE
from blipvino.progress import Reporter

if TYPE_CHECKING:
    from blipvino.cli.demo_run import DemoRun
    from blipvino.measure.race.full_size import FullSize

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder for everything that the demo writes.")]
SamplesOption = Annotated[int, typer.Option(help="Held-out questions whose answers are compared.")]
FullSizeFlag = Annotated[
    bool,
    typer.Option(
        help="Then time BLIP-base with random weights, FP16 beside int8: a minute, and 1.4 GB of disk for the time."
    ),
]

ServeFlag = Annotated[
    bool,
    typer.Option(
        "--serve", help="Instead show the web page of `blipvino serve`, on the demo models and some pictures."
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(help="Of --serve: port to listen on; 0 takes a free one.", show_default="8000 or a free one"),
]

app = typer.Typer()


@app.command(epilog="Example: blipvino demo -o out/demo; blipvino demo --serve")
def demo(
    context: typer.Context,
    output: OutputOption = Path("blipvino-demo"),
    recipe: RecipeOption = DEFAULT_RECIPE,
    samples: SamplesOption = 500,
    full_size: FullSizeFlag = True,
    serve: ServeFlag = False,
    port: PortOption = None,
    show: OpenFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Optimize the embedded demo model, try it on held-out pictures, and report how it stands beside its original."""
    if serve:
        refuse_unused(
            context, ("recipe", "samples", "full_size", "as_json"), "with --serve, which shows the page alone"
        )
        raise typer.Exit(_serve(context, output, port, quiet=quiet))
    refuse_unused(context, ("port",), "without --serve")
    from blipvino.cli.demo_run import run_demo

    found = run_demo(output, recipe, samples, show_progress=not quiet)
    if not as_json:
        _print_demo(found)
    if show:
        open_page(found.page)
    if full_size:
        found = _timed_at_full_size(found, output, Reporter(not quiet))
    if as_json:
        print_json(found.to_json())
    elif found.full_size is not None:
        _print_full_size(found.full_size)


def _serve(context: typer.Context, folder: Path, port: int | None, *, quiet: bool) -> int:
    """Serve the demo models until Ctrl-C, and open a browser unless ``--no-open`` says otherwise; the exit status."""
    check_installed()
    from blipvino.cli.demo_page import PHOTOS, demo_settings, demo_socket

    listening = demo_socket(port)
    settings = demo_settings(folder, show_progress=not quiet)
    is_hidden = is_given(context, "show") and not context.params["show"]

    def show_page(url: str) -> None:
        print_line(f"Pictures to try it on are in {folder / PHOTOS}; Ctrl-C ends it.", sys.stderr)
        if not is_hidden:
            open_address(url)

    return run_server(settings, listening, show_page)


def _print_demo(found: DemoRun) -> None:
    """Print the demo model's texts and how it stands; latencies in words, since a model so small gains no speed."""
    from blipvino.measure.evaluation.evaluation import Evaluation
    from blipvino.measure.report.comparison_tables import size_table
    from blipvino.measure.report.evaluation_tables import answer_tables, caption_table
    from blipvino.measure.report.page.overview import brackets_note, sentences

    typer.echo("What the compressed demo model says of pictures that it never saw:")
    for sample in found.samples:
        typer.echo(f"{sample.image}\n  caption: {sample.caption}\n  {sample.question} {sample.answer}")
    evaluation = found.report.evaluation
    assert isinstance(evaluation, Evaluation)  # the demo's model answers and captions
    by_answer_type = list(answer_tables(evaluation))[:2]
    tables = (size_table(found.report.cost), *by_answer_type, caption_table(evaluation))
    print_sentence(brackets_note(found.report))
    print_tables(table for table in tables if table.rows)
    for sentence in sentences(found.report):
        print_sentence(sentence)
    print_sentence("Accuracy by question type, latencies, error by layer and more pictures are in the report.")
    print_report_link(found.page)


def _timed_at_full_size(found: DemoRun, folder: Path, reporter: Reporter) -> DemoRun:
    """The run with the timing at full size; without it, said on standard error, where the machine has no room."""
    from blipvino.measure.race.full_size import time_full_size

    reporter.say("Now a model of full size, about a minute (--no-full-size does without)")
    try:
        return replace(found, full_size=time_full_size(folder, reporter))
    except BlipvinoError as error:  # the demo itself is done
        print_error(f"not timed at full size: {error}")
        return found


def _print_full_size(found: FullSize) -> None:
    from blipvino.measure.race.full_size_table import full_size_summary, full_size_table

    print_tables([full_size_table(found)])
    for sentence in full_size_summary(found):
        print_sentence(sentence)
