"""What 8 bits gain at full size: BLIP-base with random weights, made, compressed and timed in about a minute."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from blipvino.bundle.bundle import open_bundle
from blipvino.checkpoint.config import BlipConfig
from blipvino.checkpoint.random_weights import BLIP_BASE, tensor_shapes, write_random_checkpoint
from blipvino.errors import CompressionError, OutputError
from blipvino.files.staging import Stage
from blipvino.graphs.specs import graph_names
from blipvino.machine.host import choose_arithmetic
from blipvino.machine.memory import memory_limit
from blipvino.measure.race.contenders import ContenderSpec, Workplace, contender_specs
from blipvino.measure.race.launch import peak_rss_of
from blipvino.measure.race.race import Pace, Race
from blipvino.measure.race.work import Work
from blipvino.measure.race.worker import ContenderError, Worker, run_apart
from blipvino.progress import Reporter

RECIPES = ("none", "int8")
CALIBRATION_SAMPLES = 4
"""Speed does not depend on them."""
NEW_TOKENS = 20
PACE = Pace(rounds=6, budget=12.0)
"""Two rounds at least, so that each model goes first once, however slow the machine is."""
DISK_BYTES_PER_VALUE = 6
"""The checkpoint and the FP16 bundle, 2 each, and what `optimize` wants to see free for the other bundle."""
MEMORY_BYTES_PER_VALUE = 16
"""Quantization takes 13 at BLIP-base."""


@dataclass(frozen=True)
class Measured:
    """One bundle.

    Attributes:
        name: "FP16" or "int8".
        weights: bytes of its graphs' weights.
        caption: median seconds of a caption, from the decoded image to the text.
        first_token: the same of a caption of one token: looking at the image is nearly all of it.
        peak_memory: largest resident memory of the process that ran it alone, in bytes; None where the system does not
            tell.
    """

    name: str
    weights: int
    caption: float
    first_token: float
    peak_memory: int | None


@dataclass(frozen=True)
class FullSize:
    """The two bundles of a checkpoint with random weights.

    Attributes:
        parameters: of the checkpoint.
        new_tokens: of every caption.
        rounds: captions that were timed of each.
        arithmetic: of the quantized graphs here.
        reason: why it is that one, a sentence.
    """

    original: Measured
    compressed: Measured
    parameters: int
    new_tokens: int
    rounds: int
    arithmetic: str
    reason: str

    @property
    def rate(self) -> float:
        """How many times smaller the compressed weights are."""
        return self.original.weights / self.compressed.weights

    @property
    def speed_up(self) -> float:
        """How many times faster the compressed model captions."""
        return self.original.caption / self.compressed.caption

    def to_json(self) -> dict[str, Any]:
        """With the ratios spelt out. Times are in seconds, sizes in bytes."""
        return {"model": "BLIP-base, random weights", **asdict(self), "rate": self.rate, "speed_up": self.speed_up}


def time_full_size(
    folder: Path, reporter: Reporter, *, config: BlipConfig = BLIP_BASE, new_tokens: int = NEW_TOKENS, pace: Pace = PACE
) -> FullSize:
    """Make a random checkpoint, its FP16 and its int8 bundle, and time captions of the two in turn.

    Each step runs in a process of its own, which gives its memory back. Nothing is left, also when it is interrupted.

    Args:
        folder: an existing one on a disk with room; what is made is in a hidden folder in it for the time.
        reporter: hears what is being done.
        config: the checkpoint's shapes.
        new_tokens: of a caption, 2 at least.
        pace: how often a caption is repeated.

    Raises:
        OutputError: the disk has too little room, or cannot be written.
        CompressionError: there is too little memory, or a process failed.
    """
    values = sum(math.prod(shape) for shape in tensor_shapes(config).values())
    with _workspace(folder, values) as work:
        try:
            reporter.say("Full size 1/4: writing BLIP-base with random weights")
            place = Workplace(work / "checkpoint", work, samples=CALIBRATION_SAMPLES)
            place.checkpoint.mkdir()
            run_apart(write_random_checkpoint, place.checkpoint, config, log=place.log("checkpoint"))
            ours = list(contender_specs(RECIPES).values())[-len(RECIPES) :]
            for number, one in enumerate(ours, start=2):
                reporter.say(f"Full size {number}/4: making the {one.label} bundle")
                run_apart(one.build, place, log=place.log(one.name))
            reporter.say(f"Full size 4/4: timing captions of {new_tokens} tokens")
            original, compressed, rounds = _measure(ours, place, config, new_tokens, pace)
        except ContenderError as error:
            raise CompressionError(f"full size: {error}") from error
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error
    choice = choose_arithmetic()
    return FullSize(original, compressed, values, new_tokens, rounds, choice.arithmetic, choice.reason)


@contextmanager
def _workspace(folder: Path, values: int) -> Iterator[Path]:
    """A hidden folder; what a killed process left of an earlier one is removed first.

    Raises:
        OutputError: the disk has too little room.
        CompressionError: there is too little memory.
    """
    memory, needed = memory_limit(), MEMORY_BYTES_PER_VALUE * values
    if memory is not None and memory < needed:
        raise CompressionError(f"full size: {needed / 1e9:.1f} GB of memory needed, {memory / 1e9:.1f} GB there")
    stage = Stage.beside(folder / "full-size")
    with stage.claimed():
        free, needed = shutil.disk_usage(folder).free, DISK_BYTES_PER_VALUE * values
        if free < needed:
            raise OutputError(f"{folder}: {needed / 1e9:.1f} GB needed for the time, {free / 1e9:.1f} GB free")
        stage.partial.mkdir()
        yield stage.partial


def _measure(
    ours: list[ContenderSpec], place: Workplace, config: BlipConfig, new_tokens: int, pace: Pace
) -> tuple[Measured, Measured, int]:
    """Both bundles, each in a process of its own, and how often each captioned.

    Raises:
        ContenderError: one failed.
    """
    names = [one.name for one in ours]
    workers = [Worker(one.name, partial(one.load, place), place.log(one.name)) for one in ours]
    with Race(workers, pace) as race:
        captions = race.run(Work("caption", "caption", 1, new_tokens), names)
        first = race.run(Work("first token", "caption", 1, 1), names)
        if race.failures:
            raise ContenderError("; ".join(f"{name}: {reason}" for name, reason in race.failures.items()))
        peaks = [None if worker.pid is None else peak_rss_of(worker.pid) for worker in workers]
    original, compressed = (
        Measured("FP16" if recipe == "none" else recipe, _weights(place, recipe, config), one.median, two.median, peak)
        for recipe, one, two, peak in zip(RECIPES, captions, first, peaks, strict=True)
    )
    return original, compressed, min(len(series.seconds) for series in captions)


def _weights(place: Workplace, recipe: str, config: BlipConfig) -> int:
    bundle = open_bundle(place.bundle(recipe), verify=False)
    return sum(bundle.graph_size(name) for name in graph_names(config.architecture))
