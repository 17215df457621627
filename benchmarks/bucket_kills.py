"""Kill batch jobs that read one bucket and write another, at random moments, and look whether a row is lost or twice.

python -m benchmarks.bucket_kills --kills 100

A server on this machine speaks S3's protocol (moto's). Jobs run in processes of their own, by the code that
`blipvino batch` runs, with texts of its own instead of a model's, and killed (SIGKILL) while they work. Sometimes two
are started at once: one has to be refused, or to wait. After every kill each shard must be whole, no id may be there
twice, and shards that were finished before must be what they were, byte for byte. Each job ends with a run that is left
alone: then every image is in the shards, once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.batch_kills import ADDED, FORMS, IMAGES, LIVES, SHARD_ROWS, NamingWorker
from blipvino.batch.job import BatchJob, run_job
from blipvino.batch.output import remote_lock
from blipvino.batch.output.remote_folder import RemoteFolder
from blipvino.batch.output.shard_formats import FORMATS, FormatName
from blipvino.batch.output.shard_writer import shard_names
from blipvino.batch.row_columns import RowColumns
from blipvino.batch.sources.remote_images import RemoteImages
from blipvino.batch.work_plan import PlannedModel, TextWork, WorkPlan
from blipvino.errors import OutputError

_FORKED = multiprocessing.get_context("fork")
REFUSED = 2
"""Status of a process that found another one at work."""
BEAT_SECONDS = 0.2
"""Of the lock: a job takes less than the usual ones."""
TWINS = 0.2
"""Of the runs: how many are two at once."""


@dataclass
class BucketJob:
    """A job under attack.

    Attributes:
        client: of the store, to look at it by other means than the job's.
        bucket: that has images below ``in/`` and shards below ``out/``.
        form: of the shards.
        before: shards that were finished, and their contents.
    """

    client: Any
    bucket: str
    form: FormatName
    before: dict[str, bytes] = field(default_factory=dict)

    def grow(self, count: int, rng: random.Random) -> None:
        """Add images, anywhere among those that are there."""
        for _ in range(count):
            self.client.put_object(Bucket=self.bucket, Key=f"in/{rng.randrange(3)}/{rng.getrandbits(32)}.png")

    def work(self, output: str) -> None:
        """What the process does that is killed."""
        remote_lock.BEAT_SECONDS = BEAT_SECONDS
        plan = WorkPlan(("caption",), PlannedModel(Path("none"), "0" * 64), None, TextWork(), RowColumns(("caption",)))
        place = RemoteFolder(f"s3://{self.bucket}/{output}")
        job = BatchJob(RemoteImages(f"s3://{self.bucket}/in"), plan, place, self.form, SHARD_ROWS)
        try:
            run_job(job, open_worker=NamingWorker)
        except OutputError:
            sys.exit(REFUSED)

    def problems(self, *, complete: bool) -> list[str]:
        """What is wrong now; what is right is what the next run must leave.

        Args:
            complete: whether the last run was left alone, and so all must be there.
        """
        form, shards = FORMATS[self.form], self._contents("out/")
        shards = {name: shards[name] for name in shard_names(shards, form.suffix)}
        found = [f"{name}: changed" for name in self.before if shards.get(name) != self.before[name]]
        self.before = shards
        ids: Counter[str] = Counter()
        for name, content in shards.items():
            try:
                ids.update(row.id for row in form.finished(io.BytesIO(content), name))
            except OutputError as error:
                found.append(str(error))
        there = set(self._contents("in/"))
        found += [f"{name}: {count} times" for name, count in ids.items() if count > 1]
        found += [f"{name}: never was" for name in set(ids) - there]
        if complete:
            found += [f"{name}: lost" for name in there - set(ids)]
        return found

    def _contents(self, below: str) -> dict[str, bytes]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=below)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {
            key.removeprefix(below): self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys
        }


@dataclass
class BucketToll:
    """What came of the kills.

    Attributes:
        kills: processes that were killed while they worked.
        between: kills after which more shards were finished than before.
        twins: runs with another one at work.
        refused: processes of these that ended, since another was at work.
        jobs: that were done to the end.
        problems: whatever was wrong.
    """

    kills: int = 0
    between: int = 0
    twins: int = 0
    refused: int = 0
    jobs: int = 0
    problems: tuple[str, ...] = ()


def run(job: BucketJob, count: int = 1, delay: float | None = None, output: str = "out") -> list[int]:
    """Do a job in processes of their own, which are killed after so many seconds; their exit statuses."""
    processes = [_FORKED.Process(target=job.work, args=(output,)) for _ in range(count)]
    for process in processes:
        process.start()
    if delay is not None:
        time.sleep(delay)
        for process in processes:
            process.kill()
    for process in processes:
        process.join()
    ended = [process.exitcode or 0 for process in processes]
    if not set(ended) <= {0, REFUSED, -signal.SIGKILL}:
        raise SystemExit(f"runs ended with status {ended}")
    return ended


def kill_again_and_again(kills: int, seed: int, client: Any) -> BucketToll:
    """Kill as many processes as asked, in as many jobs as it takes."""
    toll, rng = BucketToll(), random.Random(seed)
    while toll.kills < kills and not toll.problems:
        job = BucketJob(client, f"job-{seed}-{toll.jobs}", FORMS[toll.jobs % len(FORMS)])
        client.create_bucket(Bucket=job.bucket)
        job.grow(IMAGES, rng)
        started = time.perf_counter()
        run(job, output="timed")
        longest = time.perf_counter() - started
        for _ in range(LIVES):
            if toll.kills >= kills or toll.problems:
                break
            count, shards = 1 + (rng.random() < TWINS), len(job.before)
            ended = run(job, count, rng.uniform(0, longest))
            toll.kills += ended.count(-signal.SIGKILL)
            toll.twins += count > 1
            toll.refused += ended.count(REFUSED)
            toll.problems += tuple(job.problems(complete=0 in ended))
            toll.between += -signal.SIGKILL in ended and len(job.before) > shards
            job.grow(ADDED, rng)
        ended = run(job, 2)
        toll.twins += 1
        toll.refused += ended.count(REFUSED)
        if 0 not in ended:
            run(job)
        toll.problems += tuple(job.problems(complete=True))
        toll.jobs += 1
    return toll


@contextmanager
def store() -> Iterator[Any]:
    """Run the server, lead this process's environment there, and give botocore's client of it."""
    import pyarrow.parquet  # noqa: F401, PLC0415  # here, so that kills meet processes at work
    import s3fs  # noqa: F401, PLC0415  # likewise
    from botocore.session import get_session  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            settings = {
                "AWS_ACCESS_KEY_ID": "kills",
                "AWS_SECRET_ACCESS_KEY": "kills",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            os.environ.update(settings, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}")
            while server.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            yield get_session().create_client("s3")
        finally:
            server.kill()


def main() -> None:
    """Parse the command line, kill, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with store() as client:
        toll = kill_again_and_again(asked.kills, asked.seed, client)
    print(
        f"{toll.kills} kills in {toll.jobs} jobs, {toll.between} after new shards; two at once {toll.twins} times, "
        f"{toll.refused} refused; {len(toll.problems)} problems"
    )
    for problem in toll.problems:
        print(f"  {problem}")
    sys.exit(bool(toll.problems))


if __name__ == "__main__":
    main()
