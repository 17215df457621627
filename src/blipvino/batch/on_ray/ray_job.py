"""A job on a Ray cluster: list, pass over what is done, read, look, write, each as fast as the next can take it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from blipvino.batch.job import BatchJob, begun_job
from blipvino.batch.job_checks import check_source
from blipvino.batch.job_progress import JobProgress
from blipvino.batch.job_summary import JobSummary, ShardSummary
from blipvino.batch.on_ray.ray_checkpoint import SHARDS, ShardPlace
from blipvino.batch.on_ray.ray_engine import READ_TOGETHER, ImageReading, RowEngine, read_images, sent_bundles
from blipvino.batch.on_ray.ray_failures import named_failures
from blipvino.batch.on_ray.ray_progress import RecordWatch
from blipvino.batch.on_ray.ray_session import RayCluster, RayOptions, ray_session
from blipvino.batch.on_ray.ray_settings import READ_BYTES, data_settings, engine_on
from blipvino.batch.on_ray.ray_shards import ShardSink, ShardsWritten
from blipvino.batch.on_ray.ray_source import RowDatasource
from blipvino.batch.on_ray.ray_stretches import Listing, list_stretches
from blipvino.batch.output.finished_rows import FinishedRows
from blipvino.batch.output.job_manifest import SUMMARY, checked_manifest, restart
from blipvino.batch.output.shard_formats import FORMATS
from blipvino.errors import OutputError
from blipvino.machine.host import this_host
from blipvino.machine.versions import library_versions

_CALLS = 2
"""Blocks that an engine works on side by side: while the last texts of one are made, the next is looked at."""
_IN_FLIGHT = 4
"""Blocks that an engine has or waits for."""
_COUNTED = 100
"""Shards that a task counts the rows of."""


def run_job_on_ray(
    job: BatchJob, options: RayOptions, progress: JobProgress | None = None, *, anew: bool = False
) -> JobSummary:
    """Do what is left of a job, on a cluster. Call it again after whatever stopped it.

    Args:
        job: what to do; its place is a bucket, or a folder that all nodes see.
        options: which cluster, and how it is used.
        progress: shows it.
        anew: remove what was done before, and begin again.

    Raises:
        InputError: Ray is missing, or its cluster too small; what was done before was begun otherwise; or the plan is
            not allowed.
        OutputError: another process does this job, or shards are damaged or cannot be written.
        BlipvinoError: the source cannot be read on, or a model cannot go on.
    """
    progress = progress or JobProgress(show=False)
    place = ShardPlace.of(job.place)
    job = replace(job, engine="ray")
    checked_manifest(job.place, anew=anew)
    with job.place.sole_writer():
        if anew:
            check_source(job.source)
            restart(job.place, job.engine, place.clear)
        job = begun_job(job, bool(place.recorded()))
        with ray_session(options) as cluster:
            return _Run(job, place, cluster, progress).do()


def finished_on_ray(job: BatchJob) -> FinishedRows:
    """The rows of a job that are in its finished shards, by the record of them; no cluster is needed.

    Raises:
        OutputError: the record cannot be read.
    """
    place = ShardPlace.of(job.place)
    try:
        return place.finished()
    except OSError as error:
        raise OutputError(f"{place.record}: cannot be read ({error}); check the disk") from error


@dataclass(frozen=True)
class _Run:
    """One run of a job.

    Attributes:
        job: what to do.
        place: where shards and their record go.
        cluster: that is connected to.
        progress: shows it.
    """

    job: BatchJob
    place: ShardPlace
    cluster: RayCluster
    progress: JobProgress

    def do(self) -> JobSummary:
        """Do all rows that are left, and sum up."""
        job, progress = self.job, self.progress
        with named_failures():
            run = secrets.token_hex(8)
            self.place.take(run)
            self.place.settle()
            listing = list_stretches(job.source, job.selection, self.cluster.put)
            before = self.place.recorded()
            sink = ShardSink(self.place, job.form, job.plan.columns, job.shard_rows, run)
            if SUMMARY in job.place.sizes():
                job.place.remove(SUMMARY)  # it is true no longer
            with progress:
                progress.begin(sum(map(self.place.recorded_rows, before)) if progress.shows else 0)
                if listing.rows is not None:
                    progress.expect(listing.rows)
                began = time.monotonic()
                with RecordWatch(self.place, progress, before), data_settings(self.place.config()):
                    if listing.stretches:
                        self._write(listing, sink)
                seconds = time.monotonic() - began
            self.place.settle()
            return self._summarize(listing, sink.written, seconds)

    def _write(self, listing: Listing, sink: ShardSink) -> None:
        job, source = self.job, RowDatasource(listing.stretches)
        plan = replace(job.plan, engine=engine_on(self.cluster, job.plan.engine))
        sent = sent_bundles(plan, self.cluster.send)
        (
            ray.data.read_datasource(source, override_num_blocks=source.task_count)
            .map_batches(
                read_images,
                fn_kwargs={"reading": ImageReading.of(plan)},
                batch_size=READ_TOGETHER,
                batch_format="pyarrow",
                num_cpus=1,
                memory=READ_BYTES,
            )
            .map_batches(
                RowEngine,
                batch_size=None,
                batch_format="pyarrow",
                num_cpus=self.cluster.engine_cpus,
                compute=ActorPoolStrategy(
                    min_size=self.cluster.engines[0],
                    max_size=self.cluster.engines[1],
                    max_tasks_in_flight_per_actor=_IN_FLIGHT,
                    max_concurrent_calls_per_actor=_CALLS,
                    enable_true_multi_threading=True,
                ),
                fn_constructor_args=(plan, sent, Path.cwd(), job.sidecars),
            )
            .write_datasink(sink)
        )

    def _summarize(self, listing: Listing, written: ShardsWritten, seconds: float) -> JobSummary:
        job, host = self.job, this_host()
        shards, errors = _counted(self.place, job)
        summary = JobSummary(
            job.source.name,
            job.place.name,
            job.plan.tasks,
            job.plan.fingerprint,
            rows=sum(shard.rows for shard in shards),
            errors=errors,
            new_rows=written.rows,
            new_errors=written.errors,
            duplicates=listing.duplicates,
            duplicate_ids=listing.duplicate_ids,
            seconds=round(seconds, 3),
            host=host.cpu,
            versions=library_versions(),
            shards=shards,
        )
        if written.rows:
            summary.rows_per_second = round(written.rows / seconds, 3)
            summary.read_ms = round(written.read_ms / written.rows, 3)
            summary.compute_ms = round(written.compute_ms / written.rows, 3)
        with job.place.write(SUMMARY) as file:
            file.write(json.dumps(summary.to_json(), indent=2).encode())
        return summary


def _counted(place: ShardPlace, job: BatchJob) -> tuple[list[ShardSummary], int]:
    """All shards, read once more on the nodes, and how many of their rows have an error.

    Raises:
        OutputError: one is damaged.
    """
    sizes = sorted(place.sizes().items())
    tasks = [
        _count_shards.remote(place, job.form, sizes[first : first + _COUNTED])
        for first in range(0, len(sizes), _COUNTED)
    ]
    counted = [found for some in ray.get(tasks) for found in some]
    return [shard for shard, _ in counted], sum(errors for _, errors in counted)


@ray.remote
def _count_shards(place: ShardPlace, form: str, sizes: Sequence[tuple[str, int]]) -> list[tuple[ShardSummary, int]]:
    return [_count_shard(place, form, name, size) for name, size in sizes]


def _count_shard(place: ShardPlace, form: Any, name: str, size: int) -> tuple[ShardSummary, int]:
    rows = errors = 0
    with place.filesystem.open_input_file(f"{place.shards}/{name}") as file:
        content = BytesIO(file.read())  # Arrow's files are not read line by line
    for row in FORMATS[form].finished(content, f"{place.shards}/{name}"):
        rows += 1
        errors += row.failed
    return ShardSummary(f"{SHARDS}/{name}", rows, size), errors
