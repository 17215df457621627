"""How long, how fast and from what start a model of the shapes world learns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from blipvino.demo.scenes import IMAGE_SIZE, MAX_OBJECTS
from blipvino.errors import InputError

Requirement = tuple[str, bool, str]
"""A field, whether it is as it must be, and how it must be."""


@dataclass(frozen=True)
class Schedule:
    """What every training here has. The same plan gives the same model on the same machine.

    Attributes:
        steps: optimizer steps.
        batch: pictures a step, each with all its texts.
        learning_rate: of the long middle part.
        weight_decay: of matrices.
        warmup: steps in which the learning rate rises.
        decay: share of the steps, the last ones, in which the learning rate falls to zero.
        optimizer: of matrices; embeddings and vectors are AdamW's.
        seed: of the weights that begin at random.
    """

    steps: int = 6200
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: int = 150
    decay: float = 0.3
    optimizer: Literal["muon", "adamw"] = "muon"
    seed: int = 0
    least_batch: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a field is out of its range.
        """
        for name, holds, expected in self._requirements():
            if not holds:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected {expected}")

    def _requirements(self) -> Iterator[Requirement]:
        yield "steps", self.steps >= 1, "at least 1"
        yield "batch", self.batch >= self.least_batch, f"at least {self.least_batch}"
        yield "learning_rate", 0 < self.learning_rate < float("inf"), "more than 0"
        yield "weight_decay", 0 <= self.weight_decay < float("inf"), "at least 0"
        yield "warmup", self.warmup >= 1, "at least 1"
        yield "decay", 0 <= self.decay <= 1, "a share from 0 to 1"
        yield "seed", 0 <= self.seed < 2**63, "from 0 to 2**63 - 1"

    def rate(self, step: int) -> float:
        """Learning rate at a step: linear warm-up, constant, linear decay to zero."""
        rise = min(1.0, (step + 1) / self.warmup)
        fall = min(1.0, (self.steps - step) / max(1.0, self.steps * self.decay))
        return self.learning_rate * rise * fall


@dataclass(frozen=True)
class TrainingPlan(Schedule):
    """How the demo model learns.

    Attributes:
        curriculum: share of the steps, the first ones, in which the objects of a scene rise from one to four.
        patch: side of a patch, in pixels.
        positions: how the vision model's position embeddings begin.
    """

    curriculum: float = 0.1
    patch: int = 8
    positions: Literal["sincos", "random"] = "sincos"

    def _requirements(self) -> Iterator[Requirement]:
        yield from super()._requirements()
        yield "curriculum", 0 <= self.curriculum <= 1, "a share from 0 to 1"
        fits = self.patch >= 1 and IMAGE_SIZE % self.patch == 0
        yield "patch", fits, f"a divisor of {IMAGE_SIZE}, the side of a picture"

    def max_objects(self, step: int) -> int:
        """The curriculum: one object in a scene at first, all of them at its end."""
        length = self.steps * self.curriculum
        return MAX_OBJECTS if step >= length else 1 + int(step / length * (MAX_OBJECTS - 1))


@dataclass(frozen=True)
class RetrievalPlan(Schedule):
    """How the retrieval model learns, from the demo model on: a picture's wrong captions are those of its batch."""

    steps: int = 3600
    learning_rate: float = 1e-3
    least_batch: ClassVar[int] = 2
