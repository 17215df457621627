"""Kill batch jobs at random moments, again and again, and look whether a row is lost, or is there twice.

python -m benchmarks.batch_kills --kills 200

Folders of images are done by processes of their own, by the code that `blipvino batch --sidecar txt` runs, with texts
of its own instead of a model's; images are added between runs, and one run in ten begins its job anew (--restart).
Processes are killed (SIGKILL) while they work. After every kill each shard must be whole, no id may be there twice, and
shards that were finished before must be what they were, byte for byte; each sidecar must be absent or whole, and one
half-written file may be left, hidden. Each job ends with a run that is left alone: then every image is in the shards,
once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from blipvino.batch.batch_rows import InputRow, OutputRow
from blipvino.batch.job import BatchJob, run_job
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.output.shard_formats import FORMATS, FormatName
from blipvino.batch.output.shard_writer import shard_names
from blipvino.batch.row_columns import RowColumns
from blipvino.batch.row_sidecars import RowSidecars
from blipvino.batch.sources.photo_files import PhotoFiles
from blipvino.batch.work_plan import PlannedModel, TextWork, WorkPlan
from blipvino.errors import OutputError
from blipvino.files import partials
from blipvino.files.beside import FileWriter
from blipvino.photos.places import Describer
from blipvino.photos.text_sidecars import TextSidecars

_FORKED = multiprocessing.get_context("fork")
"""Starts processes that have everything imported, so that kills meet them at work."""
IMAGES, ADDED, SHARD_ROWS = 60, 10, 7
LIVES = 8
"""Runs of a job that are killed, before it is left alone."""
ANEW = 0.1
"""Of the runs."""
FORMS: tuple[FormatName, ...] = ("parquet", "jsonl")


class NamingWorker:
    """Calls every image by its name, in less time than a model takes."""

    def __init__(self, plan: WorkPlan) -> None:
        self._model = plan.fingerprint

    def run(self, rows: Iterator[InputRow]) -> Generator[OutputRow]:
        """Name them."""
        for row in rows:
            yield OutputRow(row.id, row.location, None, {"caption": caption_of(row.id)}, model=self._model)

    def close(self) -> None:
        """End."""


def caption_of(name: str) -> str:
    """What an image is called."""
    return f"a picture called {name}"


@dataclass
class Subject:
    """A job under attack.

    Attributes:
        photos: the folder of its images.
        output: of its shards.
        form: their format.
        images: that it was given so far.
        before: the shards that were finished, and their contents.
    """

    photos: Path
    output: Path
    form: FormatName
    images: int = 0
    before: dict[str, bytes] = field(default_factory=dict)

    def grow(self, count: int, rng: random.Random) -> None:
        """Add images, anywhere among those that are there."""
        for _ in range(count):
            path = self.photos / f"{rng.randrange(3)}" / f"{rng.getrandbits(32)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        self.images = sum(1 for _ in self.photos.rglob("*.png"))

    def work(self, anew: bool) -> None:
        """What the process does that is killed."""
        partials._SETTLED_SECONDS = 0  # what the last one left beside photos is tidied up at once
        sidecars = RowSidecars(Describer([TextSidecars(FileWriter())]), ("caption",), several_questions=False)
        plan = WorkPlan(("caption",), PlannedModel(Path("none"), "0" * 64), None, TextWork(), RowColumns(("caption",)))
        job = BatchJob(
            PhotoFiles(str(self.photos)), plan, LocalFolder(self.output), self.form, SHARD_ROWS, sidecars=sidecars
        )
        run_job(job, anew=anew, open_worker=NamingWorker)

    def problems(self, *, anew: bool, complete: bool) -> list[str]:
        """What is wrong now; what is right is what the next run must leave.

        Args:
            anew: whether the last run removed what was there.
            complete: whether it was left alone, and so all must be there.
        """
        form, names = FORMATS[self.form], [path.name for path in self.output.glob("*")]
        shards = {name: (self.output / name).read_bytes() for name in shard_names(names, form.suffix)}
        found = [] if anew else [f"{name}: changed" for name in self.before if shards.get(name) != self.before[name]]
        self.before = shards
        ids: Counter[str] = Counter()
        for name in shards:
            try:
                with (self.output / name).open("rb") as file:
                    ids.update(row.id for row in form.finished(file, name))
            except OutputError as error:
                found.append(str(error))
        found += [f"{name}: {count} times" for name, count in ids.items() if count > 1]
        there = {path.relative_to(self.photos).as_posix() for path in self.photos.rglob("*.png")}
        found += [f"{name}: never was" for name in set(ids) - there]
        if complete:
            found += [f"{name}: lost" for name in there - set(ids)]
        found += self._sidecar_problems(there, set(ids))
        half = [path for folder in (self.photos, self.output) for path in folder.rglob(".blipvino-*.partial")]
        if len(half) > (0 if complete else 2):
            found.append(f"left over: {half}")
        return found

    def _sidecar_problems(self, there: set[str], finished: set[str]) -> list[str]:
        found = []
        for name in there:
            sidecar = (self.photos / name).with_suffix(".txt")
            if sidecar.exists() and sidecar.read_text() != f"{caption_of(name)}\n":
                found.append(f"{sidecar}: {sidecar.read_bytes()[:80]!r}")
            elif name in finished and not sidecar.exists():
                found.append(f"{sidecar}: missing, though the image is finished")
        return found


@dataclass
class Toll:
    """What came of the kills.

    Attributes:
        kills: processes that were killed while they worked.
        survived: those that were faster.
        caught: kills that left a half-written file, hidden.
        between: kills after which more shards were finished than before.
        jobs: that were done to the end.
        problems: whatever was wrong.
    """

    kills: int = 0
    survived: int = 0
    caught: int = 0
    between: int = 0
    jobs: int = 0
    problems: tuple[str, ...] = ()


def run(subject: Subject, anew: bool, delay: float | None) -> bool:
    """Do a job in a process of its own, which is killed after so many seconds.

    Returns:
        Whether it was killed before it ended.
    """
    process = _FORKED.Process(target=subject.work, args=(anew,))
    process.start()
    if delay is not None:
        process.join(delay)
        process.kill()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise SystemExit(f"a run ended with status {process.exitcode}")
    return process.exitcode == -signal.SIGKILL


def kill_again_and_again(kills: int, seed: int, work: Path) -> Toll:
    """Kill as many processes as asked, in as many jobs as it takes."""
    toll, rng = Toll(), random.Random(seed)
    while toll.kills < kills and not toll.problems:
        folder = work / f"job{toll.jobs}"
        subject = Subject(folder / "photos", folder / "out", FORMS[toll.jobs % len(FORMS)])
        subject.grow(IMAGES, rng)
        started = time.perf_counter()
        run(Subject(subject.photos, folder / "timed", subject.form), False, None)
        longest = time.perf_counter() - started
        for path in subject.photos.rglob("*.txt"):
            path.unlink()
        for _ in range(LIVES):
            if toll.kills >= kills or toll.problems:
                break
            anew, shards = rng.random() < ANEW, len(subject.before)
            killed = run(subject, anew, rng.uniform(0, longest))
            toll.kills += killed
            toll.survived += not killed
            toll.caught += any(folder.rglob(".blipvino-*.partial"))
            toll.problems += tuple(subject.problems(anew=anew, complete=not killed))
            toll.between += killed and len(subject.before) > shards
            subject.grow(ADDED, rng)
        run(subject, False, None)
        toll.problems += tuple(subject.problems(anew=False, complete=True))
        toll.jobs += 1
    return toll


def main() -> None:
    """Parse the command line, kill, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        toll = kill_again_and_again(asked.kills, asked.seed, Path(folder))
    print(
        f"{toll.kills} kills in {toll.jobs} jobs ({toll.survived} runs were faster); {toll.between} after new shards, "
        f"{toll.caught} left a half-written file, hidden, which a later run removed; {len(toll.problems)} problems"
    )
    for problem in toll.problems:
        print(f"  {problem}")
    sys.exit(bool(toll.problems))


if __name__ == "__main__":
    main()
