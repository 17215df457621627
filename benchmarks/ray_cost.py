"""What a job on Ray costs on one machine, beside the same job without Ray.

python -m benchmarks.ray_cost BUNDLE
python -m benchmarks.ray_cost BUNDLE --images 1000 --few 200 --rounds 3

The same JPEG files (640 x 480, none like another) are captioned by `run_job` and by `run_job_on_ray`, in turn, each in
a process of its own, as `blipvino batch` would: a small job and a large one. What an image costs is the difference of
the two by the difference of their images; what is left of the small one is the start: of the process, of Ray, of the
engine. Medians are told. Both have every core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.retrieval_cost import write_photo
from blipvino.batch.job import BatchJob, run_job
from blipvino.batch.on_ray.ray_session import RayOptions
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.sources.photo_files import PhotoFiles
from blipvino.batch.work_plan import plan_work
from blipvino.machine.host import this_host
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.text.tables import TextTable, markdown_table

_SPAWNED = multiprocessing.get_context("spawn")
"""Starts processes that have nothing of this one."""
WAYS = ("local", "ray")


@dataclass
class Timings:
    """Seconds of one way.

    Attributes:
        few: of small jobs.
        many: of large ones.
    """

    few: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)


def caption(bundle: Path, photos: Path, output: Path, way: str, cache: Path, images: int) -> None:
    """Do a job, and see that it made all rows; in a process of its own."""
    plan = plan_work(("caption",), bundle, engine=EngineOptions(cache=cache))
    job = BatchJob(PhotoFiles(str(photos)), plan, LocalFolder(output), shard_rows=100)
    if way == "ray":
        from blipvino.batch.on_ray.ray_job import run_job_on_ray  # noqa: PLC0415  # costs a process without Ray seconds

        summary = run_job_on_ray(job, RayOptions(address=None))
    else:
        summary = run_job(job)
    if (summary.new_rows, summary.new_errors) != (images, 0):
        raise SystemExit(f"{way}: made {summary.new_rows} rows of {images}, {summary.new_errors} with an error")


def seconds_of(bundle: Path, photos: Path, work: Path, way: str, images: int) -> float:
    """Time one job, from the launch of its process to its end."""
    with TemporaryDirectory(dir=work) as folder:
        arguments = (bundle, photos, Path(folder) / "out", way, work / "cache", images)
        start = time.perf_counter()
        process = _SPAWNED.Process(target=caption, args=arguments)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{way}: a job of {images} images ended with status {process.exitcode}")
        return time.perf_counter() - start


def measure(bundle: Path, few: int, many: int, rounds: int, work: Path) -> dict[str, Timings]:
    """Time both ways in turn, after a round of small jobs that fills the cache of compiled graphs."""
    folders = {}
    for images in (few, many):
        folders[images] = work / f"photos-{images}"
        folders[images].mkdir()
    for number in range(many):
        path = write_photo(folders[many] / f"{number:06}.jpg", number)
        if number < few:
            (folders[few] / path.name).hardlink_to(path)
    timings = {way: Timings() for way in WAYS}
    for way in WAYS:
        seconds_of(bundle, folders[few], work, way, few)
    for _ in range(rounds):
        for way in WAYS:
            timings[way].few.append(seconds_of(bundle, folders[few], work, way, few))
            timings[way].many.append(seconds_of(bundle, folders[many], work, way, many))
    return timings


def cost_table(timings: dict[str, Timings], few: int, many: int) -> TextTable:
    """What an image and the start cost, and how much more by Ray."""
    rows = []
    costs = {}
    for way, found in timings.items():
        small, large = statistics.median(found.few), statistics.median(found.many)
        each = (large - small) / (many - few)
        costs[way] = each, small - few * each, large
        rows.append((way, f"{small:.1f}", f"{large:.1f}", f"{1000 * each:.1f}", f"{small - few * each:.1f}"))
    shares = [f"{ray / local - 1:+.1%}" for ray, local in zip(costs["ray"], costs["local"], strict=True)]
    rows.append(("Ray beside local", "", shares[2], shares[0], ""))
    header = ("way", f"{few:,} images, s", f"{many:,} images, s", "an image, ms", "start, s")
    return TextTable("A job on one machine", header, tuple(rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="that captions")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--few", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory() as work:
        timings = measure(asked.bundle, asked.few, asked.images, asked.rounds, Path(work))
    print(f"{this_host().cpu}; medians of {asked.rounds} rounds\n")
    print(markdown_table(cost_table(timings, asked.few, asked.images)))


if __name__ == "__main__":
    main()
