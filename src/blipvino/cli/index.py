"""``blipvino index``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blipvino.cli.options import (
    DEFAULT_CACHE,
    Arithmetic,
    ArithmeticOption,
    CacheOption,
    DeviceOption,
    JsonFlag,
    NoCacheFlag,
    Precision,
    PrecisionOption,
    QuietFlag,
)
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
from blipvino.cli.retriever_loading import ModelOptions
from blipvino.cli.text_printing import INCOMPLETE
from blipvino.cli.unused_options import refuse_unused
from blipvino.errors import InputError
from blipvino.machine.devices import CPU
from blipvino.progress import Reporter
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE

if TYPE_CHECKING:
    from blipvino.batch.on_ray.ray_session import RayOptions
    from blipvino.retrieval import IndexSummary, UpdateOptions

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of photos, and all below; by default those that the index has.", metavar="FOLDER..."),
]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The index's folder.")]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", "-b", help="A bundle or a checkpoint for retrieval; by default the index's own."),
]
ForgetOption = Annotated[
    list[Path] | None,
    typer.Option("--forget", help="Take this folder's photos out of the index; the files stay.", metavar="FOLDER"),
]
AgainFlag = Annotated[bool, typer.Option("--again", help="Try what could not be read before, though it is unchanged.")]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Images that are embedded, and kept, together.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino index photos -o photos.index --bundle blip-itm")
def index(
    context: typer.Context,
    output: OutputOption,
    folders: FoldersArgument = None,
    bundle: BundleOption = None,
    forget: ForgetOption = None,
    again: AgainFlag = False,
    batch_size: BatchSizeOption = DEFAULT_BATCH_SIZE,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticOption = Arithmetic.auto,
    device: DeviceOption = CPU,
    cache: CacheOption = DEFAULT_CACHE,
    no_cache: NoCacheFlag = False,
    engine: EngineOption = JobEngine.local,
    address: AddressOption = None,
    ray_cpus: RayCpusOption = None,
    ray_workers: RayWorkersOption = 1,
    ray_max_workers: RayMaxWorkersOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Make an index of photos for `search`, or bring one up to date: only what is new or changed is looked at."""
    from blipvino.retrieval import UpdateOptions, update_index

    on_ray = ray_options(context, engine, address, ray_cpus, ray_workers, ray_max_workers)
    if forget:
        if folders:
            raise InputError("--forget takes folders out, others were given to be looked into; do one after the other")
        unused = ("bundle", "again", "batch_size", "precision", "arithmetic", "device", "cache", "no_cache", "engine")
        refuse_unused(context, unused, "with --forget, which looks at no photo")
        _forget(output, forget, as_json)
        return
    loading = ModelOptions(bundle, precision, arithmetic, device, cache, no_cache, quiet)
    options = UpdateOptions(batch_size, again, Reporter(not quiet), print_error)
    if on_ray is None:
        model = loading.load(context, output)
        summary = update_index(output, folders or [], model, source=loading.source(output), options=options)
    else:
        summary = _indexed_on_ray(context, output, folders or [], loading, options, on_ray)
    if as_json:
        print_json({"index": str(output), **summary.to_json()})
    else:
        for line in summary_lines(output, summary):
            print_sentence(line)
    _suggest_library(summary.images)
    if summary.unreadable or summary.closed:
        raise typer.Exit(INCOMPLETE)


def _indexed_on_ray(
    context: typer.Context,
    output: Path,
    folders: list[Path],
    loading: ModelOptions,
    options: UpdateOptions,
    on_ray: RayOptions,
) -> IndexSummary:
    """Index by nodes that see the same folders as this one."""
    from blipvino.batch.on_ray.ray_session import check_answers, ray_session
    from blipvino.retrieval import update_index

    check_answers(on_ray)
    bundle = loading.find(context, output)
    with ray_session(on_ray) as cluster:
        from blipvino.batch.on_ray.ray_index import RayReading, RemoteEmbedder

        model = RemoteEmbedder.of(bundle)
        reader = RayReading(model, loading.engine(), cluster, options.batch_size)
        return update_index(
            output, folders, model, source=loading.source(output), options=replace(options, reader=reader)
        )


def summary_lines(output: Path, summary: IndexSummary) -> list[str]:
    """What was done, in words; what did not happen is not told."""
    told = {
        "new": summary.new,
        "copied": summary.copies,
        "moved": summary.moved,
        "changed": summary.changed,
        "touched": summary.touched,
        "deleted": summary.deleted,
        "unchanged": summary.unchanged,
        "cannot be read": summary.unreadable,
    }
    done = ", ".join(f"{count:,} {kind}" for kind, count in told.items() if count) or "no photos"
    different = f", {summary.images:,} different" if summary.images != summary.photos else ""
    return [
        f"Photos: {done}; {summary.seconds:,.1f} s.",
        f"{output} has {summary.photos:,} photos{different}.",
    ]


def _forget(output: Path, folders: list[Path], as_json: bool) -> None:
    from blipvino.retrieval import forget_folder

    counts = {str(folder): forget_folder(output, folder) for folder in folders}
    if as_json:
        print_json({"index": str(output), "forgotten": counts})
        return
    for folder, count in counts.items():
        print_sentence(f"{folder}: {count:,} photos are in the index no longer.")


def _suggest_library(images: int) -> None:
    from blipvino.retrieval.neighbours import WORTHWHILE, can_find_neighbours

    if images >= WORTHWHILE and not can_find_neighbours():
        print_error(
            f"searching {images:,} images is faster with the extra: pip install 'blipvino[search]'; index again"
        )
