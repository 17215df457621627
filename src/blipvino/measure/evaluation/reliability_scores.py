"""What an evaluation says of confidence: `Reliability`, of the evaluated bundle's answers and of its captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from blipvino.metrics.bootstrap import Estimate


@dataclass(frozen=True)
class ReliabilityBin:
    """Texts that are about equally sure: how many, their mean confidence, and the share that is right."""

    texts: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Coverage:
    """What is left where the least sure texts are left out.

    Attributes:
        coverage: the share of texts that is kept, from 0 to 1.
        least_confidence: of those that are kept: `min_confidence` keeps as many.
        right: the share of them that is right.
    """

    coverage: float
    least_confidence: float
    right: Estimate


@dataclass(frozen=True)
class Reliability:
    """Whether texts of one kind are as often right as their confidence says; see `blipvino.metrics.reliability`.

    Attributes:
        kind: of text.
        rule: when a text is right, in words.
        texts: how many there are, of which it is known whether they are right.
        right: the share of them that is right; of answers VQA accuracy.
        calibrated: whether the bundle's confidence was fitted.
        error: expected calibration error, from 0 to 1, of the bundle's confidence.
        raw_error: of the texts' own probabilities.
        area: under the curve of risk and coverage (AURC), from 0 to 1: the mean error over all coverages.
        coverages: from all texts to the surest half.
        bins: that the error is made of, from the least sure; those without texts are left out.
    """

    kind: Literal["answers", "captions"]
    rule: str
    texts: int
    right: Estimate
    calibrated: bool
    error: Estimate
    raw_error: Estimate
    area: float
    coverages: tuple[Coverage, ...]
    bins: tuple[ReliabilityBin, ...]
