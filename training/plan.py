"""How long, how fast and from what start a model of the shapes world learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from blipvino.demo.scenes import MAX_OBJECTS


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

    def max_objects(self, step: int) -> int:
        """The curriculum: one object in a scene at first, all of them at its end."""
        length = self.steps * self.curriculum
        return MAX_OBJECTS if step >= length else 1 + int(step / length * (MAX_OBJECTS - 1))


@dataclass(frozen=True)
class RetrievalPlan(Schedule):
    """How the retrieval model learns, from the demo model on."""

    steps: int = 1200
    learning_rate: float = 1e-3
