"""Claims about an image: texts that are known to be true or false of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from blipvino.data.samples import Sample

OWN, OTHER = "its caption", "another's caption"
"""Kinds of claims that are made of captions."""


@dataclass(frozen=True)
class Claim:
    """A text about an image.

    Attributes:
        text: what is claimed.
        holds: whether it is true of the image.
        kind: what claims are grouped by.
    """

    text: str
    holds: bool
    kind: str


@runtime_checkable
class ClaimSource(Protocol):
    """A sample source that knows claims about its images."""

    def claims(self, sample: Sample) -> tuple[Claim, ...]:
        """Those about one of its samples."""
        ...


def claims_of_captions(samples: Sequence[Sample], seed: int) -> list[tuple[Claim, ...]]:
    """Two claims about each of some images: its own first caption, and that of another image, drawn at random.

    Args:
        samples: with captions.
        seed: of the draws. A single image has its own caption alone.
    """
    draws = np.random.default_rng(seed)
    claims = []
    for place, sample in enumerate(samples):
        found = [Claim(sample.captions[0], True, OWN)]
        if len(samples) > 1:
            other = (place + 1 + int(draws.integers(len(samples) - 1))) % len(samples)
            found.append(Claim(samples[other].captions[0], False, OTHER))
        claims.append(tuple(found))
    return claims
