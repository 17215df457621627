"""A job on this machine: every row of its input once in its shards, however often and wherever it is stopped.

A row is done when the shard that has it is: shards appear whole, by one renaming each, and are never written again. A
run reads the ids that finished shards have, and does what is left of the input.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol

from blipvino.batch.batch_rows import InputRow, OutputRow
from blipvino.batch.job_checks import check_source
from blipvino.batch.job_progress import JobProgress
from blipvino.batch.job_summary import JobForecast, JobSummary, ShardSummary
from blipvino.batch.output.finished_rows import FinishedRows
from blipvino.batch.output.job_manifest import (
    SUMMARY,
    EngineName,
    JobManifest,
    checked_manifest,
    has_shards,
    restart,
)
from blipvino.batch.output.output_place import OutputPlace
from blipvino.batch.output.shard_formats import FORMATS, FormatName
from blipvino.batch.output.shard_writer import ShardWriter, shard_number
from blipvino.batch.row_counting import RowCounting
from blipvino.batch.row_intake import RowIntake
from blipvino.batch.row_selection import RowSelection
from blipvino.batch.row_sidecars import RowSidecars
from blipvino.batch.row_source import Source
from blipvino.batch.row_worker import RowWorker
from blipvino.batch.rows_until_failure import RowsUntilFailure
from blipvino.batch.work_plan import WorkPlan
from blipvino.checks import integer
from blipvino.machine.host import this_host
from blipvino.machine.versions import library_versions

SHARD_ROWS = 1000


@dataclass(frozen=True)
class BatchJob:
    """What is to be done, and where to.

    Attributes:
        source: the images.
        plan: what is made of each.
        place: where shards go.
        form: their format.
        shard_rows: rows of a shard: what a killed run does again at the most.
        selection: which rows of the source a run is about; another run may be about others.
        sidecars: keeps texts beside photos, too.
        sidecar_options: how, by names that users know; they are a part of the job.
        engine: what runs it: one process, or a Ray cluster. Each lays its shards out in its own way.
    """

    source: Source
    plan: WorkPlan
    place: OutputPlace
    form: FormatName = "parquet"
    shard_rows: int = SHARD_ROWS
    selection: RowSelection = field(default_factory=RowSelection)
    sidecars: RowSidecars | None = None
    sidecar_options: dict[str, Any] = field(default_factory=dict)
    engine: EngineName = "local"

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            InputError: ``shard_rows`` is no number of rows, or the format needs a library that is missing.
        """
        integer("shard_rows", self.shard_rows, 1)
        FORMATS[self.form].check()

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides which rows it makes, but for the selection."""
        own = {"input": self.source.name, "format": self.form, "engine": self.engine, **self.sidecar_options}
        return {**own, **self.plan.identity}


class Worker(Protocol):
    """Does rows, as `RowWorker`."""

    def run(self, rows: Iterator[InputRow]) -> Generator[OutputRow]:
        """Do rows one after the other, and give each in its turn."""
        ...

    def close(self) -> None:
        """End."""
        ...


def run_job(
    job: BatchJob,
    progress: JobProgress | None = None,
    *,
    anew: bool = False,
    open_worker: Callable[[WorkPlan], Worker] = RowWorker,
) -> JobSummary:
    """Do what is left of a job. Call it again after whatever stopped it.

    Args:
        job: what to do.
        progress: shows it, and is told what goes wrong.
        anew: remove what was done before, and begin again.
        open_worker: makes what does the rows; it is asked when there are some.

    Raises:
        InputError: what was done before was begun otherwise, or the plan is not allowed.
        OutputError: another process does this job, or shards are damaged or cannot be written.
        BlipvinoError: the source cannot be read on, or a model cannot go on.
    """
    progress = progress or JobProgress(show=False)
    checked_manifest(job.place, anew=anew)
    with job.place.sole_writer():
        if anew:
            check_source(job.source)  # for a mistake in it nothing is removed
            restart(job.place, job.engine)
        job = begun_job(job, has_shards(job.place))
        form = FORMATS[job.form]
        finished = FinishedRows.read(job.place, form)
        numbers = [shard_number(name, form.suffix) or 0 for name in finished.rows]
        writer = ShardWriter(
            job.place, form, job.plan.columns, job.shard_rows, max(numbers, default=-1) + 1, dict(finished.rows)
        )
        intake = RowIntake(finished.ids)
        run = _Run(job, writer, intake, progress, open_worker)
        with progress, RowCounting(job.selection, job.source, progress):
            progress.begin(len(finished.ids))
            run.do()
        return _summarize(job, run, finished.errors)


def forecast_job(
    job: BatchJob, *, anew: bool = False, read: Callable[[BatchJob], FinishedRows] | None = None
) -> JobForecast:
    """What `run_job` would do, without doing any of it: nothing is written, and no model is loaded.

    Args:
        job: what to do.
        anew: as if nothing were done yet.
        read: finds the rows that are finished; by default those of `run_job`.

    Raises:
        BlipvinoError: as `run_job`.
    """
    manifest = checked_manifest(job.place, anew=anew)
    finished = FinishedRows()
    if manifest is not None:
        finished = FinishedRows.read(job.place, FORMATS[job.form]) if read is None else read(job)
        if manifest.binds(job.engine, has_shards(job.place) if read is None else bool(finished.rows)):
            job = _checked(job, manifest)
    intake = RowIntake(finished.ids)
    to_do = sum(map(intake.takes, job.selection.ids(job.source)))
    return JobForecast(
        job.source.name,
        job.place.name,
        is_new=manifest is None,
        selected=to_do + intake.skipped + intake.duplicates,
        finished=intake.skipped,
        to_do=to_do,
        duplicates=intake.duplicates,
        duplicate_ids=intake.duplicate_ids,
        shards=-(-to_do // job.shard_rows),
        shards_there=len(finished.rows),
    )


def begun_job(job: BatchJob, has_finished: bool) -> BatchJob:
    """The job as it was begun before, or is now: texts are drawn by one seed in all its runs.

    Args:
        job: as it is asked for.
        has_finished: whether its engine has finished some of it.

    Raises:
        InputError: it was begun otherwise.
        OutputError: its manifest is damaged or newer, or cannot be written.
    """
    manifest = JobManifest.read(job.place)
    if manifest is not None and manifest.binds(job.engine, has_finished):
        return _checked(job, manifest)
    restart(job.place, job.engine)  # what made nothing, such as of an input that was not there, binds nobody
    job = replace(job, plan=job.plan.seeded())
    JobManifest(job.identity, job.plan.seed).write(job.place)
    return job


def _checked(job: BatchJob, manifest: JobManifest) -> BatchJob:
    job = replace(job, plan=job.plan.seeded(manifest.seed))
    manifest.check(job.identity, job.place)
    return job


@dataclass
class _Run:
    """One run of a job, and what it counts.

    Attributes:
        job: what to do.
        writer: of its shards.
        intake: of its rows.
        progress: is told of each.
        open_worker: makes what does them.
        rows: that were done.
        errors: of them that have one.
        read_ms: of all of them.
        compute_ms: likewise.
        seconds: that it took.
    """

    job: BatchJob
    writer: ShardWriter
    intake: RowIntake
    progress: JobProgress
    open_worker: Callable[[WorkPlan], Worker]
    rows: int = 0
    errors: int = 0
    read_ms: float = 0.0
    compute_ms: float = 0.0
    seconds: float = 0.0

    def do(self) -> None:
        """Do all rows that are left; no model is loaded where there are none."""
        left = self.intake.rows(self.job.selection.rows(self.job.source))
        first = next(left, None)
        if first is None:
            return
        if SUMMARY in self.job.place.sizes():
            self.job.place.remove(SUMMARY)  # it is true no longer
        worker = self.open_worker(self.job.plan)
        try:
            self._work(worker, chain([first], left))
        finally:
            worker.close()

    def _work(self, worker: Worker, rows: Iterator[InputRow]) -> None:
        began, given = time.monotonic(), RowsUntilFailure(rows)
        try:
            with closing(worker.run(given)) as made:
                for row in made:
                    self._keep(row)
        finally:  # what is made is kept, whatever comes next
            self.writer.finish()
            self.seconds = time.monotonic() - began
        if given.failure is not None:
            raise given.failure

    def _keep(self, row: OutputRow) -> None:
        if self.job.sidecars is not None:
            row = self.job.sidecars.kept(row)
        self.writer.add(row)
        self.rows += 1
        self.read_ms += row.read_ms
        self.compute_ms += row.compute_ms
        if row.error is not None:
            self.errors += 1
        self.progress.advance(row)


def _summarize(job: BatchJob, run: _Run, errors_before: int) -> JobSummary:
    sizes, host = job.place.sizes(), this_host()
    summary = JobSummary(
        job.source.name,
        job.place.name,
        job.plan.tasks,
        job.plan.fingerprint,
        rows=sum(run.writer.finished.values()),
        errors=errors_before + run.errors,
        new_rows=run.rows,
        new_errors=run.errors,
        duplicates=run.intake.duplicates,
        duplicate_ids=run.intake.duplicate_ids,
        seconds=round(run.seconds, 3),
        host=host.cpu,
        versions=library_versions(),
        shards=[ShardSummary(name, rows, sizes[name]) for name, rows in run.writer.finished.items()],
    )
    if run.rows:
        summary.rows_per_second = round(run.rows / run.seconds, 3)
        summary.read_ms = round(run.read_ms / run.rows, 3)
        summary.compute_ms = round(run.compute_ms / run.rows, 3)
    with job.place.write(SUMMARY) as file:
        file.write(json.dumps(summary.to_json(), indent=2).encode())
    return summary
