"""Everything that the speed benchmark found, with every sample, and its JSON. Times are in seconds, sizes in bytes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from blipvino.files.json_records import decode
from blipvino.machine.record import Machine


@dataclass(frozen=True)
class Entrant:
    """A contender, and what became of it: ``reason`` says why one was left out or where it failed."""

    name: str
    label: str
    state: Literal["measured", "left out", "failed"] = "measured"
    reason: str = ""


@dataclass(frozen=True)
class Series:
    """One contender's samples of one work at one size.

    Attributes:
        work: "caption", "first answer", ...; "parts" is each graph on its own.
        size: images, questions or tokens.
        new_tokens: of every text.
        contender: its name.
        seconds: one sample a round.
        parts: of "parts", seconds of each part, one mapping a round.
        agreement: share of its tokens that are those of the first contender listed.
    """

    work: str
    size: int
    new_tokens: int
    contender: str
    seconds: tuple[float, ...]
    parts: tuple[dict[str, float], ...] = ()
    agreement: float | None = None

    @property
    def median(self) -> float:
        """The middle sample."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the samples lie below the first, a quarter above the second."""
        if len(self.seconds) < 2:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    @property
    def part_medians(self) -> dict[str, float]:
        """The middle sample of each part."""
        names = self.parts[0] if self.parts else ()
        return {name: statistics.median(parts[name] for parts in self.parts) for name in names}


@dataclass(frozen=True)
class Launch:
    """Fresh processes, from launch to their first text.

    Attributes:
        contender: its name.
        work: "caption" or "answer".
        cache: OpenVINO's model cache: "empty" or "warm"; "none" for a contender that keeps none.
        seconds: one sample a launch.
        peak_rss: the largest resident memory of each process.
    """

    contender: str
    work: str
    cache: Literal["none", "empty", "warm"]
    seconds: tuple[float, ...]
    peak_rss: tuple[int, ...]


@dataclass(frozen=True)
class DiskSize:
    """Bytes of files: of a contender's model, or of an installation."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Peaks:
    """What the machine can do: bytes read from memory a second, multiply-accumulates a second by number format."""

    bandwidth: float
    macs: dict[str, float]


@dataclass(frozen=True)
class ModelFacts:
    """What the floors are computed from.

    Attributes:
        vision_macs: multiply-accumulates of one image.
        cross_kv_values: keys and values that a decoding step reads over one image's embeddings.
        step_weights: bytes of the answer graph's weights, by contender.
    """

    vision_macs: int
    cross_kv_values: int
    step_weights: dict[str, int]


@dataclass(frozen=True)
class SpeedResults:
    """A whole run."""

    checkpoint: str
    started: str
    options: dict[str, Any]
    machine: Machine
    entrants: tuple[Entrant, ...]
    series: tuple[Series, ...]
    launches: tuple[Launch, ...]
    models: tuple[DiskSize, ...]
    installs: tuple[DiskSize, ...]
    peaks: Peaks
    facts: ModelFacts

    def find(self, work: str, contender: str, size: int = 1) -> Series | None:
        """The samples of a work; None if this contender has none."""
        wanted = (work, contender, size)
        return next((s for s in self.series if (s.work, s.contender, s.size) == wanted and s.seconds), None)

    def find_launch(self, work: str, contender: str, cache: str) -> Launch | None:
        """The launches of a contender; None if there are none."""
        wanted = (work, contender, cache)
        return next((one for one in self.launches if (one.work, one.contender, one.cache) == wanted), None)

    def label(self, name: str) -> str:
        """What to call a contender."""
        return next((entrant.label for entrant in self.entrants if entrant.name == name), name)

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the contenders that took part, in order."""
        return tuple(entrant.name for entrant in self.entrants if any(s.contender == entrant.name for s in self.series))

    def to_json(self) -> dict[str, Any]:
        """Everything, every sample of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` gave, after its way through JSON."""
        return decode(cls, content)
