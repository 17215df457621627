"""How a search for a recipe is told what to look for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from blipvino.data import DEFAULT_SEED
from blipvino.errors import InputError
from blipvino.graphs.recipes import AUTO, SEARCH_SUMMARY

DecideBy = Literal["estimate", "bound"]


@dataclass(frozen=True)
class Search:
    """What a search looks for, and how much it measures.

    Attributes:
        max_drop: points of accuracy (of 100) that the recipe may lose on the validation samples.
        validation: their source, as `blipvino.data.open_source` takes it; None is the calibration's. Images that
            calibration sees are left out. Not the split that results are reported on: a choice made on it flatters.
        validation_samples: (image, question) pairs, or images of a source without questions.
        seed: of their shuffle, and of the confidence interval's draws.
        decide_by: "estimate" compares the measured drop with ``max_drop``, "bound" the upper end of its 95% interval.
        latency_samples: images that a recipe is timed on.
        minutes: no trial begins after so many; None sets no limit.

    Raises:
        InputError: a value is out of its range.
    """

    max_drop: float = 0.5
    validation: str | None = None
    validation_samples: int = 1000
    seed: int = DEFAULT_SEED
    decide_by: DecideBy = "estimate"
    latency_samples: int = 30
    minutes: float | None = None

    def describe(self) -> str:
        """One line, as a recipe has it."""
        return f"{AUTO}: {SEARCH_SUMMARY}"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.validation == "demo:test":
            raise InputError("demo:test is for the comparison at the end; choose a recipe on demo:validation or :train")
        if self.decide_by not in get_args(DecideBy):
            raise InputError(f"decide_by is {self.decide_by!r}, expected one of {', '.join(get_args(DecideBy))}")
        ranges = (
            ("max_drop", 0 <= self.max_drop < 100, "points from 0 to 100, such as 0.5"),
            ("validation_samples", self.validation_samples >= 1, "at least 1"),
            ("seed", self.seed >= 0, "0 or more"),
            ("latency_samples", self.latency_samples >= 1, "at least 1"),
            ("minutes", self.minutes is None or self.minutes > 0, "above 0"),
        )
        for name, holds, expected in ranges:
            if not holds:
                raise InputError(f"{name} is {getattr(self, name)}, expected {expected}")
