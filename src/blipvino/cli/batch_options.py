"""Options of ``blipvino batch``: what is made of each image, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import (
    DEFAULT_CACHE,
    AnswersOption,
    Arithmetic,
    ArithmeticOption,
    CacheOption,
    DeviceOption,
    MinConfidenceOption,
    NoCacheFlag,
    OfCheckpointRecipeOption,
    Precision,
    PrecisionOption,
    RevisionOption,
    StrictFlag,
    check_generation,
    engine_options,
    usable_cache,
    with_option_group,
)
from blipvino.cli.unused_options import refuse_unused
from blipvino.cli.writing_options import WritingOptions
from blipvino.data.answers import read_answers
from blipvino.errors import InputError
from blipvino.graphs.recipes import DEFAULT_RECIPE
from blipvino.machine.devices import CPU
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.runtime.results import checked_confidence

if TYPE_CHECKING:
    from blipvino.batch.row_sidecars import RowSidecars
    from blipvino.batch.row_source import Source
    from blipvino.batch.work_plan import WorkPlan

_CALIBRATED_ON = 64
"""Rows of the input, at the most, that a checkpoint is calibrated on, when it is optimized."""


class TaskName(StrEnum):
    """What is made of an image."""

    caption = "caption"
    answer = "answer"
    rank = "rank"
    embed = "embed"


TaskOption = Annotated[
    list[TaskName], typer.Option(help="What to make of each image; may be given several times: it is looked at once.")
]
QuestionOption = Annotated[
    list[str] | None,
    typer.Option("--question", help="Of answer and rank: asked of each image that brings none; may be given again."),
]
PromptOption = Annotated[str | None, typer.Option(help="Of caption: text that each caption continues.")]
RetrievalOption = Annotated[
    Path | None, typer.Option(help="Of embed beside other tasks: a bundle or a checkpoint for retrieval.")
]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads.", show_default="all cores")]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="Images that are worked on together.")]


@dataclass(frozen=True)
class BatchOptions:
    """What is made of each image. Every field but the last two is the option of its type."""

    task: TaskOption = ()  # type: ignore[assignment]  # typer gives lists
    question: QuestionOption = None
    answers: AnswersOption = None
    prompt: PromptOption = None
    retrieval: RetrievalOption = None
    batch_size: BatchSizeOption = DEFAULT_BATCH_SIZE
    threads: ThreadsOption = None
    min_confidence: MinConfidenceOption = None
    precision: PrecisionOption = Precision.auto
    arithmetic: ArithmeticOption = Arithmetic.auto
    device: DeviceOption = CPU
    strict: StrictFlag = False
    recipe: OfCheckpointRecipeOption = DEFAULT_RECIPE
    revision: RevisionOption = None
    cache: CacheOption = DEFAULT_CACHE
    no_cache: NoCacheFlag = False
    writing: WritingOptions = field(default_factory=WritingOptions)
    generation: Mapping[str, Any] = field(default_factory=dict)

    def plan(self, model: Path, source: Source, *, check: Callable[[], None], quiet: bool = False) -> WorkPlan:
        """What is done to each row. A checkpoint in place of a bundle is optimized the first time.

        Args:
            model: a bundle or a checkpoint.
            source: whose first photos a checkpoint is calibrated on.
            check: called before one is optimized, which takes minutes; raises where that would be in vain.
            quiet: whether optimizing shows no progress.

        Raises:
            BlipvinoError: as `plan_work` and `bundle_of`; or answers cannot be read.
        """
        from blipvino.batch.batch_rows import TASKS
        from blipvino.batch.work_plan import TextWork, check_model, check_retrieval, check_tasks, plan_work
        from blipvino.pretrained.optimized_once import Wanted

        least = checked_confidence(self.min_confidence)
        choice = () if self.answers is None else tuple(read_answers(self.answers))
        work = TextWork(tuple(self.question or ()), self.prompt, choice, self.generation, least)
        tasks = [task for task in TASKS if task in self.task]
        check_tasks(tasks, work, self.retrieval)

        def check_main(architecture: str, place: Path) -> None:
            check()
            check_model(tasks, architecture, place, self.retrieval)

        def check_beside(architecture: str, place: Path) -> None:
            check()
            check_retrieval(architecture, place)

        wanted = Wanted(self.recipe, self.revision, photos=lambda: _first_photos(source))
        bundle = bundle_folder(model, quiet=quiet, cache=self.cache, wanted=wanted, check=check_main)
        retrieval = self.retrieval
        if retrieval is not None:
            retrieval = bundle_folder(retrieval, quiet=quiet, cache=self.cache, check=check_beside)
        engine = engine_options(self.precision, self.arithmetic, device=self.device, strict=self.strict)
        engine = replace(engine, threads=self.threads, cache=usable_cache(self.cache, self.no_cache))
        return plan_work(tasks, bundle, retrieval, text_work=work, engine=engine, batch_size=self.batch_size)

    def sidecars(self) -> RowSidecars | None:
        """What keeps texts beside photos; None where none are kept.

        Raises:
            InputError: as `RowSidecars`; or a library is missing.
        """
        from blipvino.batch.batch_rows import TASKS
        from blipvino.batch.row_sidecars import RowSidecars

        describer, several = self.writing.describer(), len(self.question or ()) > 1
        tasks = tuple(task for task in TASKS if task in self.task)
        return None if describer is None else RowSidecars(describer, tasks, several_questions=several)

    @property
    def sidecar_options(self) -> dict[str, Any]:
        """How texts are kept beside photos, where they are."""
        if not self.writing.sidecar and not self.writing.write_metadata:
            return {}
        return {
            option.name.replace("_", "-"): _plain(getattr(self.writing, option.name)) for option in fields(self.writing)
        }


def with_batch_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``context`` and ``options``, a `BatchOptions`, all of these on the command line."""
    return with_option_group(command, BatchOptions, _check)


def check_questions(options: BatchOptions, source: Source) -> None:
    """Refuse to ask where there is no question, as far as that can be told.

    Raises:
        InputError: neither the command nor the source has one.
    """
    from blipvino.batch.sources.photo_files import PhotoFiles
    from blipvino.batch.sources.remote_images import RemoteImages

    asks = {TaskName.answer, TaskName.rank} & set(options.task)
    if asks and not options.question and isinstance(source, PhotoFiles | RemoteImages):
        raise InputError(f"there is no question to {' and '.join(sorted(asks))}; give one with --question")


def _check(context: typer.Context, options: BatchOptions) -> None:
    """Refuse what has no effect.

    Raises:
        InputError: an option does not.
    """
    asks = {TaskName.answer, TaskName.rank} & set(options.task)
    generates = {TaskName.caption, TaskName.answer} & set(options.task)
    if not asks:
        refuse_unused(context, ("question",), "without --task answer or rank")
    if TaskName.rank not in options.task:
        refuse_unused(context, ("answers",), "without --task rank")
    if TaskName.caption not in options.task:
        refuse_unused(context, ("prompt",), "without --task caption")
    if not generates:
        names = [option.name for option in fields(GenerationOptions)]
        refuse_unused(context, names, "without --task caption or answer")
    if not asks and not generates:
        refuse_unused(context, ("min_confidence",), "without a task that makes texts")
    if options.no_cache:
        refuse_unused(context, ("cache",), "with --no-cache")
    check_generation(context, options.generation)


def _first_photos(source: Source) -> list[Path]:
    """Those of the first rows that are files here."""
    rows = (row for partition in source.partitions() for row in partition.rows())
    return [row.path for row in islice(rows, _CALIBRATED_ON) if row.path is not None]


def _plain(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
