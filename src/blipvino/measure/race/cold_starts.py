"""Cold starts: from the launch of a fresh process to its first text, and the memory that it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from blipvino.files.atomic import write_png
from blipvino.measure.race.contenders import INT8, PREFIX, Workplace
from blipvino.measure.race.launch import LaunchRequest
from blipvino.measure.race.race_inputs import picture, question
from blipvino.measure.race.speed_results import Launch
from blipvino.measure.race.worker import ContenderError

LAUNCHED = ("transformers-fp32", "tutorial-int8", INT8)
"""Those that are launched. ONNX Runtime's module imports torch, which only exporting needs: it would mislead."""
SLOW_ROUNDS = 2
"""Launches of a contender that takes ten seconds and more, at the most."""


@dataclass(frozen=True)
class Start:
    """One kind of launch: a contender's, with one work and one state of its cache."""

    contender: str
    work: str
    cache: str


def measure_launches(
    place: Workplace, names: Sequence[str], tokens: Mapping[str, int], rounds: int, failures: dict[str, str]
) -> list[Launch]:
    """Launch contenders in turn, round after round, each with each work.

    Files are in the system's page cache, as they are wherever a model is started more than once.

    Args:
        place: where contenders find their files.
        names: contenders.
        tokens: new tokens by work, "caption" and "answer".
        rounds: launches of each kind.
        failures: gains an entry for each contender that fails.
    """
    starts = [
        Start(name, work, cache)
        for name in names
        for work in tokens
        for cache in (("empty", "warm") if name.startswith(PREFIX) else ("none",))
    ]
    samples: dict[Start, list[tuple[float, int]]] = {start: [] for start in starts}
    with _photo() as image, TemporaryDirectory(prefix="blipvino-") as warm:
        for number in range(rounds):
            for start in starts:
                if start.contender in failures or (start.cache == "none" and number >= SLOW_ROUNDS):
                    continue
                try:
                    if start.cache == "warm" and number == 0:
                        _launch(place, start, tokens[start.work], image, warm)
                    samples[start].append(_launch(place, start, tokens[start.work], image, warm))
                except ContenderError as error:
                    failures[start.contender] = f"launch: {error}"
    return [_summary(start, taken) for start, taken in samples.items() if taken]


def _summary(start: Start, samples: list[tuple[float, int]]) -> Launch:
    seconds, peaks = zip(*samples, strict=True)
    return Launch(start.contender, start.work, start.cache, seconds, peaks)  # type: ignore[arg-type]


@contextmanager
def _photo() -> Iterator[Path]:
    with TemporaryDirectory(prefix="blipvino-") as folder:
        path = Path(folder) / "photo.png"
        write_png(path, picture(0))
        yield path


def _launch(place: Workplace, start: Start, new_tokens: int, image: Path, warm: str) -> tuple[float, int]:
    with TemporaryDirectory(prefix="blipvino-") as empty:
        ours = start.contender.startswith(PREFIX)
        request = LaunchRequest(
            contender=start.contender,
            checkpoint=str(place.checkpoint),
            folder=str(place.folder),
            threads=place.threads,
            bundle=str(place.bundle(start.contender.removeprefix(PREFIX))) if ours else None,
            cache={"empty": empty, "warm": warm}.get(start.cache),
            image=str(image),
            question=question(0) if start.work == "answer" else None,
            new_tokens=new_tokens,
        )
        return _time_to_first_line(request, place.log(f"{start.contender}-launch"))


def _time_to_first_line(request: LaunchRequest, log: Path) -> tuple[float, int]:
    command = [sys.executable, "-m", "blipvino.measure.race.launch", json.dumps(asdict(request))]
    with log.open("ab") as errors:
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            text = process.stdout.readline()
            seconds = time.perf_counter() - started
            rest = process.stdout.read().split()
    if process.returncode or not text or not rest:
        raise ContenderError(f"a fresh process ended with exit code {process.returncode}; see {log}")
    return seconds, int(rest[-1])
