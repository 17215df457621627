"""Kill engines, tasks, nodes and drivers of jobs on Ray at random moments, and look whether a row is lost or doubled.

python -m benchmarks.ray_kills BUNDLE --kills 50

On a cluster of several nodes (`ray.cluster_utils.Cluster`, all on this machine) photos are captioned by `blipvino batch
--engine ray`, one of them no picture. While it works, something is killed (SIGKILL): the process that holds an engine,
one that reads or writes, all processes of a node (another one takes its place), or the driver, whose command is then
given again. When the job has ended, each row must be there once and say what one process without Ray said, and each
shard whose record was there at a kill must be what it was, byte for byte. What is killed, and when, is drawn by a seed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyarrow import parquet

from blipvino.batch.job import BatchJob, run_job
from blipvino.batch.on_ray.ray_checkpoint import ShardPlace
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.sources.photo_files import PhotoFiles
from blipvino.batch.work_plan import plan_work
from blipvino.cli.text_printing import INCOMPLETE
from blipvino.data.demo import demo_sample
from blipvino.runtime.compiling.engine_options import EngineOptions

KINDS = ("engine", "task", "node", "driver")
NODES, NODE_CPUS, NODE_ATTEMPTS = 3, 3, 4
STORE_BYTES = 100 * 2**20
SHARD_ROWS = 16
_ENGINE = b"RowEngine"
_TASK = b"ray::"
_A_LIFE = 3
"""Kills while one driver lives, at the most."""
_TIMEOUT = 300.0
"""Seconds after which a job has hung."""
_QUICK_DEATHS = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 12,  # busy nodes are not dead
}

Row = Mapping[str, Any]


@dataclass
class Toll:
    """What came of the kills.

    Attributes:
        kills: by kind.
        survived: kills that came too late.
        jobs: that were done to their end.
        problems: whatever was wrong.
    """

    kills: Counter[str] = field(default_factory=Counter)
    survived: int = 0
    jobs: int = 0
    problems: list[str] = field(default_factory=list)


class Machines:
    """The nodes of a cluster, whose processes can be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster  # noqa: PLC0415  # reads the environment

        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": _QUICK_DEATHS}
        self._cluster = Cluster(initialize_head=True, head_node_args={**head, "object_store_memory": STORE_BYTES})
        self._nodes = [self._added() for _ in range(NODES)]

    @property
    def address(self) -> str:
        """Of the cluster."""
        return str(self._cluster.address)

    def kill_worker(self, kind: str, rng: random.Random) -> bool:
        """Kill the process of an engine, or one of a task.

        Returns:
            Whether there was one.
        """
        found = []
        for node in self._nodes:
            (raylet,) = node.all_processes["raylet"]
            for process in _children(raylet.process.pid):
                command = _command(process)
                if command.startswith(_TASK) and (_ENGINE in command) == (kind == "engine"):
                    found.append(process)
        if not found:
            return False
        try:
            os.kill(rng.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def kill_node(self, rng: random.Random) -> None:
        """Kill all processes of a node, and have another one in its place."""
        node = self._nodes.pop(rng.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._added())

    def close(self) -> None:
        """End all of them."""
        self._cluster.shutdown()

    def _added(self) -> Any:
        """Another node. Where the machine is busy with other things, one may not start within Ray's own limit."""
        options: dict[str, Any] = {"num_cpus": NODE_CPUS, "object_store_memory": STORE_BYTES}
        options["include_dashboard"] = False
        for attempt in range(1, NODE_ATTEMPTS + 1):
            try:
                return self._cluster.add_node(**options)
            except Exception as error:  # of several types, Ray's and the system's
                if attempt == NODE_ATTEMPTS:
                    raise
                print(f"a node did not start ({error}); once more", flush=True)
        raise AssertionError("there is an attempt at least")


@contextmanager
def machines() -> Iterator[Machines]:
    """A cluster for the time of the block. Nobody is told of it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    made = Machines()
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class Album:
    """Photos, and what is to be said of them.

    Attributes:
        bundle: that captions.
        photos: a folder.
        cache: for compiled graphs.
        expected: the rows that one process makes, by id.
    """

    bundle: Path
    photos: Path
    cache: Path
    expected: Mapping[str, Row]

    @classmethod
    def made(cls, bundle: Path, work: Path, images: int) -> Album:
        """Photos of the demo's world, the last of which is none, captioned here."""
        photos, cache = work / "photos", work / "cache"
        photos.mkdir()
        for number in range(images - 1):
            demo_sample("test", number).image().save(photos / f"{number:05}.png")
        (photos / f"{images - 1:05}.png").write_bytes(b"no picture")
        plan = plan_work(("caption",), bundle, engine=EngineOptions(threads=1, cache=cache))
        run_job(BatchJob(PhotoFiles(str(photos)), plan, LocalFolder(work / "here")))
        expected = {row["id"]: _said(row) for path in (work / "here").glob("*.parquet") for row in _rows(path)}
        return cls(bundle, photos, cache, expected)

    def begin(self, address: str, output: Path, log: Path) -> subprocess.Popen[bytes]:
        """Start a job's driver."""
        command = [
            *(sys.executable, "-m", "blipvino", "batch", str(self.bundle)),
            *("--input", str(self.photos), "--output", str(output), "--task", "caption"),
            *("--engine", "ray", "--address", address, "--ray-cpus", "1", "--ray-max-workers", str(NODES)),
            *("--shard-rows", str(SHARD_ROWS), "--cache", str(self.cache), "--quiet"),
        ]
        with log.open("ab") as file:
            return subprocess.Popen(command, stdout=file, stderr=file)

    def problems(self, output: Path, finished: Mapping[str, bytes]) -> list[str]:
        """What is wrong with a job that has ended."""
        place = ShardPlace.of(LocalFolder(output))
        shards = {path.name: path for path in Path(place.shards).iterdir()}
        found = [row for path in shards.values() for row in _rows(path)]
        counts = Counter(row["id"] for row in found)
        problems = [f"{name}: {count} times" for name, count in counts.items() if count > 1]
        problems += [f"{name}: lost" for name in self.expected if name not in counts]
        problems += [f"{row['id']}: says {_said(row)}" for row in found if _said(row) != self.expected.get(row["id"])]
        problems += [f"{name}: changed" for name, content in finished.items() if _bytes(shards.get(name)) != content]
        return problems + [f"{name}: left over" for name in place.settle()]


@dataclass
class Life:
    """One job, until it has ended, and the kills on the way.

    Attributes:
        album: that is captioned.
        cluster: that it runs on.
        output: of the job.
        toll: that its kills are added to.
        rng: draws moments and victims.
        due: kills in all; none for a job that is left alone.
        longest: seconds that a job takes which is left alone.
        finished: shards that were finished at a kill.
    """

    album: Album
    cluster: Machines
    output: Path
    toll: Toll
    rng: random.Random
    due: int = 0
    longest: float = 0.0
    finished: dict[str, bytes] = field(default_factory=dict)

    def live(self) -> float:
        """Start the driver, again and again until it comes to its end.

        Returns:
            Seconds that the last one lived.
        """
        log = self.output.with_suffix(".log")
        while True:
            began = time.monotonic()
            driver = self.album.begin(self.cluster.address, self.output, log)
            try:
                driver_killed = self._harm(driver)
                status = driver.wait(_TIMEOUT)
            finally:
                driver.kill()
            if status in (0, INCOMPLETE):
                break
            if not driver_killed:
                self.toll.problems.append(f"a driver that was left alone: status {status}; {log.read_text()[-500:]}")
                return 0.0
        self.toll.jobs += 1
        self.toll.problems += self.album.problems(self.output, self.finished)
        return time.monotonic() - began

    def _harm(self, driver: subprocess.Popen[bytes]) -> bool:
        """Kill what is due, up to `_A_LIFE` times.

        Returns:
            Whether it was the driver at last.
        """
        for _ in range(_A_LIFE):
            if sum(self.toll.kills.values()) >= self.due:
                return False
            kind = KINDS[sum(self.toll.kills.values()) % len(KINDS)]
            if not self._kill(kind, driver, self.rng.uniform(0, 2 * self.longest / _A_LIFE)):
                self.toll.survived += 1
                return False
            self.toll.kills[kind] += 1
            if kind == "driver":
                return True
        return False

    def _kill(self, kind: str, driver: subprocess.Popen[bytes], delay: float) -> bool:
        """Wait, remember the shards that are finished by then, and kill, if the driver lives."""
        with suppress(subprocess.TimeoutExpired):
            driver.wait(delay)
            return False
        self._remember()
        if kind == "driver":
            driver.kill()
            return True
        if kind == "node":
            self.cluster.kill_node(self.rng)
            return True
        while not self.cluster.kill_worker(kind, self.rng):  # the job has not begun yet
            with suppress(subprocess.TimeoutExpired):
                driver.wait(0.1)
                return False
        return True

    def _remember(self) -> None:
        place = ShardPlace.of(LocalFolder(self.output))
        done = place.recorded()
        for path in Path(place.shards).glob("*.parquet"):
            if path.stem in done:
                self.finished.setdefault(path.name, path.read_bytes())


def kill_again_and_again(bundle: Path, kills: int, images: int, seed: int, work: Path) -> Toll:
    """Kill as often as asked, in as many jobs as it takes."""
    toll, rng = Toll(), random.Random(seed)
    album = Album.made(bundle, work, images)
    with machines() as cluster:
        longest = Life(album, cluster, work / "unharmed", toll, rng).live()
        while sum(toll.kills.values()) < kills and not toll.problems:
            Life(album, cluster, work / f"job{toll.jobs}", toll, rng, kills, longest).live()
            print(f"{sum(toll.kills.values())} kills, {toll.jobs} jobs", file=sys.stderr)
    return toll


def _said(row: Row) -> Row:
    """A row without what differs from run to run."""
    return {name: row[name] for name in ("caption", "caption_finish_reason", "error", "model", "image")}


def _rows(path: Path) -> list[Row]:
    rows: list[Row] = parquet.read_table(path).to_pylist()
    return rows


def _bytes(path: Path | None) -> bytes:
    return b"" if path is None else path.read_bytes()


def _children(parent: int) -> list[int]:
    return [int(each) for each in _read(parent, f"task/{parent}/children").split()]


def _command(process: int) -> bytes:
    return _read(process, "cmdline")


def _read(process: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:  # it has just ended
        return b""


def main() -> None:
    """Parse the command line, kill, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="that captions, such as one of the demo")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        toll = kill_again_and_again(asked.bundle, asked.kills, asked.images, asked.seed, Path(folder))
    told = ", ".join(f"{kind}: {count}" for kind, count in toll.kills.items())
    print(
        f"{sum(toll.kills.values())} kills ({told}) in {toll.jobs} jobs of {asked.images} rows on {NODES} nodes; "
        f"{toll.survived} came too late; {len(toll.problems)} problems"
    )
    for problem in toll.problems:
        print(f"  {problem}")
    sys.exit(bool(toll.problems))


if __name__ == "__main__":
    main()
