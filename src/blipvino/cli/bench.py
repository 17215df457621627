"""``blipvino bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blipvino.cli.completion import complete_contenders, complete_recipes
from blipvino.cli.options import CheckpointArgument, JsonFlag, QuietFlag
from blipvino.cli.output import print_json, print_tables
from blipvino.progress import Reporter

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder for speed.json, speed.md and plots.")]
ContendersOption = Annotated[
    str | None,
    typer.Option(help="Names, separated by commas; by default all.", autocompletion=complete_contenders),
]
RecipesOption = Annotated[
    str | None, typer.Option(help="Of blipvino, separated by commas.", autocompletion=complete_recipes)
]
RoundsOption = Annotated[int | None, typer.Option(help="Repetitions of each work at most.")]
ThreadsOption = Annotated[int | None, typer.Option(help="Of each contender; by default every core.")]
CalibrationSamplesOption = Annotated[int, typer.Option(help="For quantization; speed does not depend on them.")]
CaptionTokensOption = Annotated[int, typer.Option(help="New tokens of every caption.")]
AnswerTokensOption = Annotated[int, typer.Option(help="New tokens of every answer.")]
WorkOption = Annotated[
    Path | None, typer.Option(help="Folder for the contenders' models, kept between runs; by default OUTPUT/work.")
]
QuickFlag = Annotated[bool, typer.Option("--quick", help="Fewer rounds, smaller batches.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino bench demo -o out/bench --quick")
def bench(
    checkpoint: CheckpointArgument,
    output: OutputOption,
    contenders: ContendersOption = None,
    recipes: RecipesOption = None,
    rounds: RoundsOption = None,
    threads: ThreadsOption = None,
    calibration_samples: CalibrationSamplesOption = 20,
    caption_tokens: CaptionTokensOption = 20,
    answer_tokens: AnswerTokensOption = 3,
    work: WorkOption = None,
    quick: QuickFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Race blipvino with transformers, the tutorial's pipeline and ONNX Runtime, on the same work, side by side."""
    from blipvino.measure.race.speed import SpeedOptions, run_speed
    from blipvino.measure.race.speed_files import can_plot, write_speed
    from blipvino.measure.race.speed_tables import speed_tables

    reporter = Reporter(not quiet)
    options = SpeedOptions(
        _names(contenders), _names(recipes), rounds, threads, calibration_samples, caption_tokens, answer_tokens, quick
    )
    results = run_speed(checkpoint, output / "work" if work is None else work, options, reporter)
    write_speed(results, output)
    if as_json:
        print_json(results.to_json())
    else:
        print_tables(speed_tables(results))
    if not can_plot():
        reporter.say("No plots: they need matplotlib, pip install 'blipvino[bench]'")


def _names(listed: str | None) -> tuple[str, ...] | None:
    """A list with commas; None stays None."""
    return None if listed is None else tuple(name.strip() for name in listed.split(",") if name.strip())
