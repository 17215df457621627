"""The command line: one typer command a verb, no logic of its own."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, fields, replace
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO, get_type_hints

import typer
from rich.console import Console
from rich.table import Table

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.cli import describing
from blipvino.cli.browser import open_page
from blipvino.cli.describing import Said
from blipvino.compress.recipes import AUTO, DEFAULT_RECIPE, RECIPE_NAMES, find_recipe
from blipvino.data.answers import read_answers
from blipvino.data.samples import DEFAULT_SAMPLES, DEFAULT_SEED
from blipvino.errors import BlipvinoError, InputError, OutputError
from blipvino.files.atomic import check_png, make_folder, write_png
from blipvino.machine.host import choose_arithmetic
from blipvino.measure.report.pictures import visualize
from blipvino.progress import Reporter
from blipvino.recipe import Recipe
from blipvino.runtime.blip import DEFAULT_BATCH_SIZE, Blip
from blipvino.runtime.compiling.bundled import run_selftest
from blipvino.runtime.compiling.cache import CompiledCache, cache_limit, default_cache
from blipvino.runtime.compiling.compiler import EngineOptions
from blipvino.runtime.decoding.generation import GenerationOptions
from blipvino.runtime.inputs.images import load_image
from blipvino.text.units import megabytes

if TYPE_CHECKING:
    from blipvino.cli.tour import Tour
    from blipvino.measure.race.full_size import FullSize

app = typer.Typer(
    help="Small, fast, verified BLIP models on an ordinary CPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console()


UNREAD_IMAGES = 3
"""Exit status where some of several images could not be read."""
INPUTS = "IMAGE... QUESTION..."


class Precision(StrEnum):
    """Of the arithmetic that is not quantized."""

    auto = "auto"
    f32 = "f32"
    bf16 = "bf16"


class ArithmeticName(StrEnum):
    """Of quantized graphs."""

    auto = "auto"
    int8 = "int8"
    float = "float"
    simulated = "simulated"


JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
BundleArgument = Annotated[Path, typer.Argument(help="A bundle, as `blipvino optimize` writes it.")]
PrecisionOption = Annotated[Precision, typer.Option(help="Arithmetic of what is not quantized.")]
ArithmeticChoice = Annotated[
    ArithmeticName,
    typer.Option(
        help="Arithmetic of quantized graphs: 8-bit kernels, float with 8-bit weights, or 8 bits simulated in float; "
        "auto is what this CPU computes exactly."
    ),
]
StrictFlag = Annotated[
    bool, typer.Option("--strict", help="Refuse a bundle whose self-test falls short here, instead of a warning.")
]
CacheOption = Annotated[
    Path,
    typer.Option(
        "--cache", envvar="BLIPVINO_CACHE", help="Folder for compiled graphs, so that a later start is faster."
    ),
]
NoCacheFlag = Annotated[bool, typer.Option("--no-cache", help="Keep no compiled graphs.")]
RecipeOption = Annotated[
    str, typer.Option(help=f"One of {', '.join(RECIPE_NAMES)}, {AUTO}; `blipvino info` lists what each does.")
]
CalibrationOption = Annotated[
    str,
    typer.Option(help="Samples for calibration: demo, vqav2:…, coco:…, folder:PATH, hf:NAME; see docs/data.md."),
]
AnswersOption = Annotated[
    Path | None,
    typer.Option(help="Answer by the likeliest of these: a file with one answer a line, or a JSON list."),
]
OpenFlag = Annotated[
    bool, typer.Option("--open/--no-open", help="Show the report in a browser, where there is a display.")
]
OriginalOption = Annotated[
    str | None, typer.Option(help="The original: a bundle or a checkpoint; by default what the bundle came from.")
]


GENERATION_HELP = {
    "max_new_tokens": "Tokens to generate at the most.",
    "min_new_tokens": "Tokens to generate at least.",
    "num_beams": "Beams of beam search; 1 is greedy.",
    "length_penalty": "Of beams: above 0 favours longer texts.",
    "do_sample": "Draw tokens instead of taking the likeliest.",
    "temperature": "Of drawing: above 1 is bolder, below 1 safer.",
    "top_k": "Of drawing: among so many likeliest tokens; 0 is all.",
    "top_p": "Of drawing: among the tokens that have this probability together.",
    "seed": "Of drawing: the same seed draws the same text.",
    "repetition_penalty": "Above 1 discourages repetition.",
}


def generation_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``**generation`` an option for every field of `GenerationOptions`."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
    types = get_type_hints(GenerationOptions)
    added = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=field.default,
            annotation=Annotated[types[field.name], typer.Option(help=GENERATION_HELP[field.name])],
        )
        for field in fields(GenerationOptions)
    ]

    @functools.wraps(command)
    def wrapper(context: typer.Context, **arguments: Any) -> None:
        if not arguments["do_sample"]:
            _refuse_idle(context, ("temperature", "top_k", "top_p", "seed"), "without --do-sample")
        if arguments["num_beams"] == 1:
            _refuse_idle(context, ("length_penalty",), "without --num-beams above 1")
        if arguments["no_cache"]:
            _refuse_idle(context, ("cache",), "with --no-cache")
        command(context=context, **arguments)

    wrapper.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # what typer reads
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
    return wrapper


def _refuse_idle(context: typer.Context, names: Iterable[str], where: str) -> None:
    """Refuse options that the command line gives and that have no effect there: whoever gives one expects one.

    Raises:
        InputError: one of them is given.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(f"--{name.replace('_', '-')} has no effect {where}; leave it out")


@app.command(epilog="Example: blipvino optimize Salesforce/blip-vqa-base -o blip-vqa --calibration folder:photos")
def optimize(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A BLIP checkpoint: a folder, a hub id, or `demo`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle's folder.")],
    recipe: RecipeOption = DEFAULT_RECIPE,
    group_size: Annotated[int | None, typer.Option(help="Weights that share a scale, of 4-bit weights.")] = None,
    calibration: CalibrationOption = "demo",
    samples: Annotated[int, typer.Option(help="Calibration samples.")] = DEFAULT_SAMPLES,
    seed: Annotated[int, typer.Option(help="Of the samples' shuffle.")] = DEFAULT_SEED,
    max_drop: Annotated[float | None, typer.Option(help="Of auto: points of accuracy that may be lost; 0.5.")] = None,
    validation: Annotated[
        str | None, typer.Option(help="Of auto: samples that recipes are judged by; by default calibration's others.")
    ] = None,
    validation_samples: Annotated[int | None, typer.Option(help="Of auto: how many of them; 1000.")] = None,
    search_minutes: Annotated[float | None, typer.Option(help="Of auto: no trial begins after so long.")] = None,
    decide_by: Annotated[
        str | None, typer.Option(help="Of auto: the measured drop (estimate), or the end of its 95% interval (bound).")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing bundle.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Turn a BLIP checkpoint into a small, fast bundle."""
    from blipvino.optimization.optimize import CalibrationOptions
    from blipvino.optimization.optimize import optimize as run
    from blipvino.optimization.search.options import Search

    chosen = _chosen_recipe(recipe, group_size)
    if isinstance(chosen, Recipe):
        searching = ("max_drop", "validation", "validation_samples", "search_minutes", "decide_by")
        _refuse_idle(context, searching, f"without --recipe {AUTO}")
        if not chosen.needs_calibration:
            _refuse_idle(
                context, ("calibration", "samples", "seed"), f"with --recipe {recipe}, which is not calibrated"
            )
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
    _print_info(bundle, as_json)


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


@app.command(epilog='Example: blipvino caption blip-vqa photo.jpg other.png --prompt "a picture of"')
@generation_options
def caption(
    context: typer.Context,
    bundle: BundleArgument,
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    prompt: Annotated[str | None, typer.Option(help="Text that the caption continues.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write the (first) image with its caption to this PNG.")] = None,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticChoice = ArithmeticName.auto,
    strict: StrictFlag = False,
    cache: CacheOption = default_cache(),  # noqa: B008  # typer shows it in the help
    no_cache: NoCacheFlag = False,
    as_json: JsonFlag = False,
    **generation: Any,
) -> None:
    """Describe images."""
    if picture is not None:
        check_png(picture)
    blip = _load(bundle, _engine(precision, arithmetic, strict), None if no_cache else cache)
    said = describing.captions(blip, images, prompt, generation)
    _finish(_tell(said, images, (), as_json), picture)


@app.command(epilog='Example: blipvino ask blip-vqa photo.jpg "how many dogs are there?" "what color is the car?"')
@generation_options
def ask(
    context: typer.Context,
    bundle: BundleArgument,
    inputs: Annotated[
        list[str], typer.Argument(help="Image files, then questions; each is asked of every image.", metavar=INPUTS)
    ],
    answers: AnswersOption = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write the (first) image with its first answer to this PNG.")
    ] = None,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticChoice = ArithmeticName.auto,
    strict: StrictFlag = False,
    cache: CacheOption = default_cache(),  # noqa: B008  # typer shows it in the help
    no_cache: NoCacheFlag = False,
    as_json: JsonFlag = False,
    **generation: Any,
) -> None:
    """Answer questions about images."""
    if picture is not None:
        check_png(picture)
    if answers is not None:
        _refuse_idle(context, GENERATION_HELP, "with --answers, from which one is chosen")
    images, questions = describing.split_inputs(inputs)
    choice = None if answers is None else read_answers(answers)
    blip = _load(bundle, _engine(precision, arithmetic, strict), None if no_cache else cache)
    said = describing.answers(blip, images, questions, choice, generation)
    _finish(_tell(said, images, questions, as_json), picture)


@app.command(epilog="Example: blipvino compare blip-vqa --data folder:photos --json > comparison.json")
def compare(
    bundle: BundleArgument,
    original: OriginalOption = None,
    data: Annotated[str, typer.Option(help="Samples to compare on: demo:test, vqav2:…, coco:…, folder:…, hf:….")] = (
        "demo:test"
    ),
    samples: Annotated[int, typer.Option(help="Questions (or images without any) whose answers are compared.")] = 100,
    latency_samples: Annotated[int, typer.Option(help="Samples that are timed.")] = 100,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens of a text at the most.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the samples' shuffle.")] = DEFAULT_SEED,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for comparison.json and pictures.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Compare a bundle with its original: size, latency, answers."""
    from blipvino.measure.comparison import CompareOptions, compare_with
    from blipvino.measure.report.comparison_tables import comparison_tables
    from blipvino.measure.report.result_folders import write_comparison
    from blipvino.text.terminal import rich_table

    options = CompareOptions(samples, latency_samples, max_new_tokens, seed)
    comparison = compare_with(original, bundle, data, options, show_progress=not quiet)
    if as_json:
        _print_json(comparison.to_json())
    else:
        for table in comparison_tables(comparison):
            console.print(rich_table(table))
    if output is not None:
        write_comparison(comparison, output)


@app.command(epilog="Example: blipvino report blip-vqa --data folder:photos -o report.html --open")
def report(
    context: typer.Context,
    bundle: BundleArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The HTML file; what is measured is kept in a folder beside it.")
    ] = Path("report.html"),
    data: Annotated[
        str | None,
        typer.Option(
            help="Samples: demo:test, vqav2:…, coco:…, folder:…, hf:…; by default --evaluation's or demo:test."
        ),
    ] = None,
    original: OriginalOption = None,
    samples: Annotated[int, typer.Option(help="Questions that both models answer; 0 leaves answers out.")] = 500,
    captions: Annotated[int, typer.Option(help="Images that both models caption; 0 leaves captions out.")] = 100,
    latency_samples: Annotated[int, typer.Option(help="Samples that are timed; 0 leaves latency out.")] = 100,
    diagnose_samples: Annotated[
        int, typer.Option(help="Samples that error by layer is measured on; 0 leaves it out.")
    ] = 20,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens of a text at the most.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the samples' shuffle.")] = DEFAULT_SEED,
    evaluation: Annotated[
        Path | None, typer.Option(help="A folder of `blipvino evaluate`: taken as it is, or gone on with.")
    ] = None,
    diagnosis: Annotated[Path | None, typer.Option(help="A file of `blipvino diagnose`, taken as it is.")] = None,
    show: OpenFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write one HTML file on a bundle: size, latency, accuracy with intervals, error by layer, samples."""
    from blipvino.measure.evaluation.evaluation import RESULTS_FILE
    from blipvino.measure.report.report import ReportOptions
    from blipvino.measure.report.write_report import ReportInputs, write_report

    if diagnosis is not None:
        _refuse_idle(context, ("diagnose_samples",), "with --diagnosis, which is taken as it is")
    if evaluation is not None and (evaluation / RESULTS_FILE).is_file():
        evaluated = ("samples", "captions", "max_new_tokens", "seed")
        _refuse_idle(context, evaluated, "with an --evaluation that is complete, which is taken as it is")
    options = ReportOptions(samples, captions, latency_samples, diagnose_samples, max_new_tokens, seed)
    inputs = ReportInputs(original, evaluation, diagnosis)
    made = write_report(bundle, output, data, options, inputs, show_progress=not quiet)
    if as_json:
        _print_json({"report": str(output), **made.cost.to_json(), "evaluation": made.evaluation.to_json()})
    else:
        _tell_of_report(output)
    if show:
        open_page(output)


@app.command(epilog="Example: blipvino evaluate blip-vqa --data vqav2:questions.json,annotations.json,val2014 -o out")
def evaluate(
    context: typer.Context,
    bundle: Annotated[
        Path | None, typer.Argument(help="A bundle, as `blipvino optimize` writes it; none with --predictions.")
    ] = None,
    data: Annotated[str, typer.Option(help="Samples: demo:test, vqav2:…, coco:…, folder:…, hf:….")] = "demo:test",
    original: OriginalOption = None,
    no_original: Annotated[bool, typer.Option("--no-original", help="Evaluate the bundle alone.")] = False,
    samples: Annotated[int, typer.Option(help="Questions to answer; 0 answers none.")] = 5000,
    captions: Annotated[int, typer.Option(help="Images to caption; 0 captions none.")] = 1000,
    answers: AnswersOption = None,
    top_k: Annotated[
        int, typer.Option(help="Of --answers: rank those with the likeliest first token; 0 is all.")
    ] = 128,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens of a text at the most.")] = 20,
    num_beams: Annotated[int, typer.Option(help="Beams of beam search; 1 is greedy.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Images that are worked on together.")] = 16,
    seed: Annotated[int, typer.Option(help="Of the samples' shuffle, and of the bootstrap.")] = DEFAULT_SEED,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticChoice = ArithmeticName.auto,
    predictions: Annotated[
        list[Path] | None, typer.Option(help="Score this result file (VQAv2 or COCO format), and run no model.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for predictions and evaluation.json; resumes there.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget the predictions in the folder.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure accuracy: answers and captions of a bundle and its original, with confidence intervals."""
    from blipvino.measure.evaluation.evaluate import RunOptions, evaluate_bundle, evaluate_results
    from blipvino.measure.evaluation.evaluation import EvaluateOptions
    from blipvino.measure.report.evaluation_tables import evaluation_tables
    from blipvino.text.terminal import rich_table

    if (bundle is None) == (not predictions):
        raise InputError("evaluate takes either a bundle or --predictions")
    if bundle is None:
        running = ("original", "no_original", "samples", "captions", "answers", "top_k", "max_new_tokens", "num_beams")
        _refuse_idle(context, (*running, "batch_size", "precision", "restart"), "with --predictions: no model is run")
    if no_original:
        _refuse_idle(context, ("original",), "with --no-original")
    if samples == 0:
        _refuse_idle(context, ("answers",), "with --samples 0: no question is answered")
    if answers is None:
        _refuse_idle(context, ("top_k",), "without --answers")
    if output is None:
        _refuse_idle(context, ("restart",), "without --output")
    if bundle is None:
        evaluation = evaluate_results(predictions or [], data, folder=output, seed=seed)
    else:
        listed = None if answers is None else str(answers)
        evaluation = evaluate_bundle(
            bundle,
            data,
            EvaluateOptions(
                *(samples, captions, max_new_tokens, num_beams, listed, top_k or None),
                precision=precision.value,
                seed=seed,
                arithmetic=arithmetic.value,
            ),
            RunOptions(output, restart, batch_size, not quiet),
            original=original,
            beside_original=not no_original,
        )
    if as_json:
        _print_json(evaluation.to_json())
    else:
        for table in evaluation_tables(evaluation):
            console.print(rich_table(table))


@app.command(epilog="Example: blipvino diagnose blip-vqa --data folder:photos -o diagnosis")
def diagnose(
    context: typer.Context,
    bundle: BundleArgument,
    data: Annotated[str, typer.Option(help="Samples to run: demo:test, vqav2:…, coco:…, folder:…, hf:….")] = (
        "demo:test"
    ),
    original: Annotated[
        str | None, typer.Option(help="The checkpoint that it was made from; by default where it was then.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Questions, or images of a source without any.")] = 20,
    worst: Annotated[int, typer.Option(help="Layers that are listed.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the samples' shuffle.")] = DEFAULT_SEED,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for diagnosis.json and diagnosis.svg.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show where a bundle's error comes from: the noise of each graph and layer, worst first."""
    from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle
    from blipvino.measure.report.diagnosis_tables import diagnosis_tables, host_explanation, summary
    from blipvino.measure.report.result_folders import write_diagnosis
    from blipvino.text.terminal import rich_table

    if as_json:
        _refuse_idle(context, ("worst",), "with --json, which has every layer")
    options = DiagnoseOptions(samples, seed)
    diagnosis = diagnose_bundle(bundle, data, options, original=original, show_progress=not quiet)
    if output is not None:
        write_diagnosis(diagnosis, output)
    if as_json:
        _print_json(diagnosis.to_json())
        return
    for table in diagnosis_tables(diagnosis, worst):
        console.print(rich_table(table))
    typer.echo(summary(diagnosis))
    if host := host_explanation(diagnosis):
        typer.echo(host)


@app.command(epilog="Example: blipvino bench demo -o out/bench --quick")
def bench(
    checkpoint: Annotated[str, typer.Argument(help="A BLIP checkpoint: a folder, a hub id, or `demo`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for speed.json, speed.md and plots.")],
    contenders: Annotated[str | None, typer.Option(help="Names, separated by commas; by default all.")] = None,
    recipes: Annotated[str | None, typer.Option(help="Of blipvino, separated by commas.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Repetitions of each work at most.")] = None,
    threads: Annotated[int | None, typer.Option(help="Of each contender; by default every core.")] = None,
    calibration_samples: Annotated[int, typer.Option(help="For quantization; speed does not depend on them.")] = 20,
    caption_tokens: Annotated[int, typer.Option(help="New tokens of every caption.")] = 20,
    answer_tokens: Annotated[int, typer.Option(help="New tokens of every answer.")] = 3,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the contenders' models, kept between runs; by default OUTPUT/work.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rounds, smaller batches.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Race blipvino with transformers, the tutorial's pipeline and ONNX Runtime, on the same work, side by side."""
    from blipvino.measure.race.speed import SpeedOptions, run_speed
    from blipvino.measure.race.speed_files import can_plot, write_speed
    from blipvino.measure.race.speed_tables import speed_tables
    from blipvino.text.terminal import rich_table

    reporter = Reporter(not quiet)
    options = SpeedOptions(
        _names(contenders), _names(recipes), rounds, threads, calibration_samples, caption_tokens, answer_tokens, quick
    )
    results = run_speed(checkpoint, output / "work" if work is None else work, options, reporter)
    write_speed(results, output)
    if as_json:
        _print_json(results.to_json())
    else:
        for table in speed_tables(results):
            console.print(rich_table(table))
    if not can_plot():
        reporter.say("No plots: they need matplotlib, pip install 'blipvino[bench]'")


@app.command(epilog="Example: blipvino stress demo -o out/stressed --factor 50 --channels 4")
def stress(
    source: Annotated[str, typer.Argument(help="A BLIP checkpoint: a folder, a hub id, or `demo`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The new checkpoint's folder.")],
    factor: Annotated[float, typer.Option(help="How many times larger a chosen channel becomes.")] = 50.0,
    channels: Annotated[int, typer.Option(help="Channels that are chosen of each site.")] = 4,
    values: Annotated[bool, typer.Option(help="Scale attention values too: text layers have no other site.")] = True,
    seed: Annotated[int, typer.Option(help="Of the choice.")] = 0,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a checkpoint that computes the same with outlier channels, which are hard to quantize."""
    from blipvino.checkpoint.tensors import load_checkpoint
    from blipvino.compress.outliers import OutlierOptions, add_outliers
    from blipvino.demo import resolve

    options = OutlierOptions(factor, channels, values, seed)
    with load_checkpoint(resolve(source), revision=revision, show_progress=not quiet) as checkpoint:
        scaled = add_outliers(checkpoint, output, options)
    if as_json:
        _print_json({"folder": str(output), **asdict(options), "sites": [asdict(site) for site in scaled]})
    else:
        typer.echo(f"{output}: {channels} channels of each of {len(scaled)} sites are {factor:g} times larger")


@app.command(epilog="Example: blipvino selftest blip-vqa")
def selftest(
    bundle: BundleArgument,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticChoice = ArithmeticName.auto,
    as_json: JsonFlag = False,
) -> None:
    """Run every graph on the bundle's golden samples, by the kernels that this machine really uses.

    Exit status 1 tells that a graph falls short of what `blipvino optimize` expected of it.
    """
    from blipvino.cli.selftest_text import selftest_summary, selftest_table
    from blipvino.text.terminal import rich_table

    found = run_selftest(open_bundle(bundle), _engine(precision, arithmetic, strict=False))
    if as_json:
        verdicts = [verdict.to_json() for verdict in found.verdicts]
        _print_json({"bundle": str(bundle), **asdict(found.choice), "passed": found.passed, "graphs": verdicts})
    else:
        console.print(rich_table(selftest_table(found)))
        for line in selftest_summary(found):
            typer.echo(line)
    if not found.passed:
        raise typer.Exit(1)


@app.command(epilog="Example: blipvino info blip-vqa")
def info(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle; without it, the recipes are listed.")] = None,
    cache: CacheOption = default_cache(),  # noqa: B008  # typer shows it in the help
    as_json: JsonFlag = False,
) -> None:
    """Show what a bundle holds, after checking that it is whole; or list the recipes. Tells the cache's size, too."""
    from blipvino.cli.cache_text import bundle_line, cache_line
    from blipvino.optimization.search.options import Search

    if bundle is not None:
        opened = open_bundle(bundle)
        _print_info(opened, as_json)
        if not as_json:
            typer.echo(bundle_line(CompiledCache(cache), opened))
    elif as_json:
        _print_json([find_recipe(name).to_json() for name in RECIPE_NAMES])
    else:
        for line in (*(find_recipe(name).describe() for name in RECIPE_NAMES), Search().describe()):
            typer.echo(line)
        typer.echo(f"this machine: {choose_arithmetic().reason}")
        typer.echo(cache_line(CompiledCache(cache, cache_limit())))


@app.command(epilog="Example: blipvino cache --clear")
def cache(
    folder: CacheOption = default_cache(),  # noqa: B008  # typer shows it in the help
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it, and say what was freed.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the compiled graphs that are kept between starts, last used first; or remove them."""
    from blipvino.cli.cache_text import cache_line, cache_table
    from blipvino.text.terminal import rich_table

    kept = CompiledCache(folder, cache_limit())
    if clear:
        removed = kept.clear()
        freed = sum(entry.size for entry in removed)
        if as_json:
            _print_json({"folder": str(folder), "removed": len(removed), "freed_bytes": freed})
        else:
            typer.echo(f"{folder}: removed {len(removed)} compiled graphs, freed {megabytes(freed)}")
    elif as_json:
        _print_json(kept.to_json())
    else:
        entries = kept.entries()
        if entries:
            console.print(rich_table(cache_table(entries)))
        typer.echo(cache_line(kept))


@app.command(epilog="Example: blipvino demo -o out/demo")
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything that the demo writes.")] = Path(
        "blipvino-demo"
    ),
    recipe: RecipeOption = DEFAULT_RECIPE,
    samples: Annotated[int, typer.Option(help="Held-out questions whose answers are compared.")] = 500,
    full_size: Annotated[
        bool,
        typer.Option(
            help="Then time BLIP-base with random weights, FP16 beside int8: a minute, and 1.4 GB of disk for the time."
        ),
    ] = True,
    show: OpenFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Optimize the embedded demo model, try it on held-out pictures, and report how it stands beside its original."""
    from blipvino.cli.tour import run_demo

    tour = run_demo(output, recipe, samples, show_progress=not quiet)
    if not as_json:
        _print_tour(tour)
    if show:
        open_page(tour.page)
    if full_size:
        tour = _timed_at_full_size(tour, output, Reporter(not quiet))
    if as_json:
        _print_json(tour.to_json())
    elif tour.full_size is not None:
        _print_full_size(tour.full_size)


def _tell_of_report(page: Path) -> None:
    typer.echo(f"Report: {page.resolve().as_uri()}")


def _print_tour(tour: Tour) -> None:
    """What the demo's model says and how it stands; its latencies in words, since a model so small gains no speed."""
    from blipvino.measure.report.comparison_tables import size_table
    from blipvino.measure.report.evaluation_tables import answer_tables, caption_table
    from blipvino.measure.report.page.overview import sentences
    from blipvino.text.terminal import rich_table

    typer.echo("What the compressed demo model says of pictures that it never saw:")
    for sample in tour.samples:
        typer.echo(f"{sample.image}\n  caption: {sample.caption}\n  {sample.question} {sample.answer}")
    evaluation = tour.report.evaluation
    by_answer_type = list(answer_tables(evaluation))[:2]
    for table in (size_table(tour.report.cost), *by_answer_type, caption_table(evaluation)):
        if table.rows:
            console.print(rich_table(table))
    for sentence in sentences(tour.report):
        _print_sentence(sentence)
    _print_sentence("Accuracy by question type, latencies, error by layer and more pictures are in the report.")
    _tell_of_report(tour.page)


def _timed_at_full_size(tour: Tour, folder: Path, reporter: Reporter) -> Tour:
    """The tour with the timing at full size; without it, said on standard error, where the machine has no room."""
    from blipvino.measure.race.full_size import time_full_size

    reporter.say("Now a model of full size, about a minute (--no-full-size does without)")
    try:
        return replace(tour, full_size=time_full_size(folder, reporter))
    except BlipvinoError as error:  # the demo itself is done
        typer.echo(f"blipvino: not timed at full size: {error}", err=True)
        return tour


def _print_full_size(found: FullSize) -> None:
    from blipvino.measure.race.full_size_table import full_size_summary, full_size_table
    from blipvino.text.terminal import rich_table

    console.print(rich_table(full_size_table(found)))
    for sentence in full_size_summary(found):
        _print_sentence(sentence)


def _print_sentence(sentence: str) -> None:
    """A sentence, its lines broken between words."""
    console.print(sentence, highlight=False, markup=False)


def _engine(precision: Precision, arithmetic: ArithmeticName, strict: bool) -> EngineOptions:
    return EngineOptions(precision.value, arithmetic=arithmetic.value, selftest="strict" if strict else "warn")


def _load(bundle: Path, engine: EngineOptions, cache: Path | None) -> Blip:
    if cache is not None:
        try:
            make_folder(cache)
        except OutputError as error:  # a read-only home is no reason to say nothing of a picture
            typer.echo(f"blipvino: {error}; compiled graphs are not kept (--no-cache does without)", err=True)
            cache = None
    return Blip.load(bundle, options=replace(engine, cache=cache))


def _tell(said: Generator[Said], images: Sequence[Path], questions: Sequence[str], as_json: bool) -> list[Said]:
    """Print what is said of each image when it is; as JSON at the end, or when the work is stopped.

    An image that cannot be read is a line on standard error.

    Raises:
        ImageError: the one image cannot be read.
    """
    told: list[Said] = []
    output = sys.stdout  # a progress bar takes sys.stdout for itself
    shown = len(images) > DEFAULT_BATCH_SIZE and sys.stderr.isatty() and (as_json or not output.isatty())
    total = len(images) * max(1, len(questions))
    try:
        with closing(said), closing(Reporter(shown).track(said, "Looking", total)) as tracked:
            for one in tracked:
                told.append(one)  # first, since the work may be stopped as soon as it is told
                _tell_one(one, len(images) > 1, len(questions) > 1, None if as_json else output)
    except (KeyboardInterrupt, SystemExit):  # what is done is not lost
        if as_json:
            _print_json([one.to_json() for one in told])
        raise
    if as_json:
        _print_json([one.to_json() for one in told])
    return told


def _tell_one(one: Said, several_images: bool, several_questions: bool, output: TextIO | None) -> None:
    if one.error is not None:
        if not several_images:
            raise one.error
        if one.first:
            typer.echo(f"blipvino: {one.error}", err=True)
    elif output is not None:
        image = f"{one.image}: " if several_images else ""
        question = f"{one.question} " if several_questions else ""
        typer.echo(f"{image}{question}{one.marked}", file=output)


def _finish(told: Sequence[Said], picture: Path | None) -> None:
    """Write the picture of the first text; say how many images could not be read, and exit with status 3 if any."""
    spoken = next((one for one in told if one.error is None), None)
    if picture is not None and spoken is not None:
        texts = {"caption": spoken.text} if spoken.question is None else {"answer": spoken.text}
        write_png(picture, visualize(load_image(spoken.image), question=spoken.question, **texts))
    images = [one for one in told if one.first]
    unread = sum(one.error is not None for one in images)
    if unread:
        typer.echo(f"blipvino: {unread} of {len(images)} images could not be read", err=True)
        raise typer.Exit(UNREAD_IMAGES)


def _names(listed: str | None) -> tuple[str, ...] | None:
    """A list with commas; None stays None."""
    return None if listed is None else tuple(name.strip() for name in listed.split(",") if name.strip())


def _print_info(bundle: Bundle, as_json: bool) -> None:
    if as_json:
        here = asdict(choose_arithmetic())
        _print_json({"folder": str(bundle.folder), "here": here, **json.loads(bundle.manifest.to_json())})
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
    for graph, treatment in manifest.recipe.treatments.items():
        if bundle.has(f"{graph}.bin"):
            size = bundle.graph_size(graph)
            rate = f"{originals[graph] / size:.3f}" if graph in originals else ""
            table.add_row(graph, str(treatment), f"{size / 1024:,.2f}", rate)
    console.print(table)
    if manifest.measurements.search is not None:
        _print_search(manifest.measurements.search)


def _print_search(record: Any) -> None:
    from blipvino.optimization.search.summary import search_summary, search_table
    from blipvino.text.terminal import rich_table

    console.print(rich_table(search_table(record)))
    for line in search_summary(record):
        typer.echo(line)


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


@app.callback()
def _main(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and what is being done.")] = False,
) -> None:
    if debug:
        logging.basicConfig(level=logging.DEBUG)
    else:
        logging.basicConfig(level=logging.WARNING, format="blipvino: %(message)s")


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that nothing half-written is left; a second signal does not stop the tidying up."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line. What blipvino refuses is one line on standard error and status 2."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except (BlipvinoError, OSError) as error:  # OSError: a path too long to look up, a folder not to be entered
        if "--debug" in sys.argv[1:]:
            raise
        typer.echo(f"blipvino: {error}", err=True)
        raise SystemExit(2) from None
