"""``blipvino batch``."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from blipvino.cli.batch_options import BatchOptions, check_questions, with_batch_options
from blipvino.cli.options import BundleArgument, JsonFlag, QuietFlag
from blipvino.cli.output import print_error, print_json, print_sentence
from blipvino.cli.ray_options import (
    AddressOption,
    EngineOption,
    JobEngine,
    RayCpusOption,
    RayMaxWorkersOption,
    RayWorkersOption,
    ray_options,
)
from blipvino.cli.text_printing import INCOMPLETE
from blipvino.cli.unused_options import refuse_unused
from blipvino.text.units import counted

if TYPE_CHECKING:
    from blipvino.batch.job import BatchJob
    from blipvino.batch.job_summary import JobForecast, JobSummary
    from blipvino.batch.on_ray.ray_session import RayOptions
    from blipvino.batch.output.output_place import OutputPlace
    from blipvino.batch.row_source import Source


class ShardForm(StrEnum):
    """Of the shards."""

    parquet = "parquet"
    jsonl = "jsonl"


InputOption = Annotated[
    str,
    typer.Option(
        "--input",
        help="Images, by path or URL: a folder and all below it, a pattern; lists (.jsonl, .csv, .tsv, .parquet); tar "
        "shards (.tar); hf:NAME[,CONFIG][@SPLIT].",
    ),
]
OutputOption = Annotated[str, typer.Option("--output", "-o", help="Folder of the shards that are written, or its URL.")]
FormatOption = Annotated[ShardForm, typer.Option("--format", help="Of the shards.")]
ShardRowsOption = Annotated[int, typer.Option(min=1, help="Rows of a shard: a run that is killed does these again.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="The first so many images alone.")]
ShardOption = Annotated[
    str | None,
    typer.Option(help="Share i of n, such as 3/16: of several machines each does one, into a folder of its own."),
]
SampleOption = Annotated[
    str | None, typer.Option(help="So many images, drawn of all: N or N:seed.", metavar="N[:SEED]")
]
IdColumnOption = Annotated[str | None, typer.Option(help="Of a list: its column of ids.", show_default="id")]
ImageColumnOption = Annotated[
    str | None, typer.Option(help="Of a list: its column of paths and URLs.", show_default="path")
]
BytesColumnOption = Annotated[
    str | None,
    typer.Option(help="Of a list: its column of the bytes of images, in text as Base64.", show_default="bytes"),
]
QuestionColumnOption = Annotated[
    str | None, typer.Option(help="Of a list: its column of questions.", show_default="question")
]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
RestartFlag = Annotated[bool, typer.Option("--restart", help="Remove the shards that are there, and begin anew.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino batch blip-vqa --input photos --output captions --task caption")
@with_batch_options
def batch(
    context: typer.Context,
    bundle: BundleArgument,
    given: InputOption,
    output: OutputOption,
    options: BatchOptions,
    form: FormatOption = ShardForm.parquet,
    shard_rows: ShardRowsOption = 1000,
    limit: LimitOption = None,
    shard: ShardOption = None,
    sample: SampleOption = None,
    id_column: IdColumnOption = None,
    image_column: ImageColumnOption = None,
    bytes_column: BytesColumnOption = None,
    question_column: QuestionColumnOption = None,
    dry_run: DryRunFlag = False,
    restart: RestartFlag = False,
    engine: EngineOption = JobEngine.local,
    address: AddressOption = None,
    ray_cpus: RayCpusOption = None,
    ray_workers: RayWorkersOption = 1,
    ray_max_workers: RayMaxWorkersOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Caption, ask about, rank answers to and embed any number of images; again: goes on where it was stopped."""
    from blipvino.batch.job import BatchJob
    from blipvino.batch.output.share_folders import job_folder
    from blipvino.batch.row_selection import RowSelection, Sample, Share
    from blipvino.batch.sources.given_source import given_source
    from blipvino.batch.sources.list_columns import ListColumns

    on_ray = ray_options(context, engine, address, ray_cpus, ray_workers, ray_max_workers)
    if on_ray is not None:
        refuse_unused(context, ("threads",), "with --engine ray; --ray-cpus are an engine's threads")
    share = None if shard is None else Share.parsed(shard)
    selection = RowSelection(share, None if sample is None else Sample.parsed(sample), limit)
    source = given_source(given, ListColumns(id_column, image_column, bytes_column, question_column), output)
    place = job_folder(output, share)
    check_questions(options, source)
    sidecars = options.sidecars()
    check = partial(_check, source, place, form, on_ray, restart)
    plan = options.plan(bundle, source, check=check, quiet=quiet)
    job = BatchJob(
        source, plan, place, form.value, shard_rows, selection, sidecars, options.sidecar_options, engine.value
    )
    if dry_run:
        forecast = _forecast(job, restart)
        _show(forecast, as_json, forecast_lines(job, forecast))
        return
    summary = _done(job, on_ray, restart, quiet)
    _show(summary, as_json, summary_lines(summary))
    if summary.new_errors or summary.duplicates:
        raise typer.Exit(INCOMPLETE)


def _check(source: Source, place: OutputPlace, form: ShardForm, on_ray: RayOptions | None, restart: bool) -> None:
    from blipvino.batch.job_checks import check_job

    check_job(source, place, form.value, anew=restart)
    if on_ray is not None:
        from blipvino.batch.on_ray.ray_session import check_answers

        check_answers(on_ray)


def _forecast(job: BatchJob, restart: bool) -> JobForecast:
    from blipvino.batch.job import forecast_job

    if job.engine == "local":
        return forecast_job(job, anew=restart)
    from blipvino.batch.on_ray.ray_job import finished_on_ray

    return forecast_job(job, anew=restart, read=finished_on_ray)


def _done(job: BatchJob, on_ray: RayOptions | None, restart: bool, quiet: bool) -> JobSummary:
    from blipvino.batch.job import run_job
    from blipvino.batch.job_progress import JobProgress

    progress = JobProgress(not quiet, print_error)
    if on_ray is None:
        return run_job(job, progress, anew=restart)
    from blipvino.batch.on_ray.ray_job import run_job_on_ray

    return run_job_on_ray(job, on_ray, progress, anew=restart)


def forecast_lines(job: BatchJob, forecast: JobForecast) -> list[str]:
    """What would be done, in words."""
    begun = "begins" if forecast.is_new else "goes on with"
    lines = [
        f"{forecast.input}: {counted(forecast.selected, 'image')}, of which {forecast.finished:,} are finished and "
        f"{forecast.to_do:,} are to be done ({', '.join(job.plan.tasks)}).",
        f"It {begun} {forecast.output}: shards that are there {forecast.shards_there:,}, to come {forecast.shards:,}.",
    ]
    return [*lines, *_duplicate_lines(forecast.duplicates, forecast.duplicate_ids)]


def summary_lines(summary: JobSummary) -> list[str]:
    """What was done, in words."""
    rate = "" if summary.rows_per_second is None else f", {summary.rows_per_second:,.1f} a second"
    errors = f", {summary.new_errors:,} with an error" if summary.new_errors else ""
    lines = [
        f"{counted(summary.new_rows, 'image')}{errors}; {summary.seconds:,.1f} s{rate}.",
        f"{summary.output} has {counted(summary.rows, 'row')} in {counted(len(summary.shards), 'shard')}, "
        f"{summary.errors:,} failed.",
    ]
    return [*lines, *_duplicate_lines(summary.duplicates, summary.duplicate_ids)]


def _duplicate_lines(count: int, ids: list[str]) -> list[str]:
    if not count:
        return []
    told = f"{count:,} images were passed over, since another one has their id: {', '.join(ids)}."
    return [f"{told} Ids of records are those of the column `id`, or of --id-column, else their paths."]


def _show(found: JobForecast | JobSummary, as_json: bool, lines: list[str]) -> None:
    if as_json:
        print_json(found.to_json())
    else:
        for line in lines:
            print_sentence(line)
