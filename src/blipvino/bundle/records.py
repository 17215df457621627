"""What a manifest records of how its bundle was made, beside the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from blipvino.bundle.search_record import SearchRecord

__all__ = ["CalibrationRecord", "Measurements"]


@dataclass(frozen=True)
class CalibrationRecord:
    """The samples that quantization saw.

    Attributes:
        source: its name, as `blipvino.data.open_source` tells it.
        samples: (image, question) pairs, or images of a source without questions.
        images: how many.
        seed: of the shuffle.
    """

    source: str
    samples: int
    images: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


@dataclass(frozen=True)
class Measurements:
    """What was measured when a bundle was made.

    Attributes:
        fp16_bytes: what each graph's weights weigh in half precision.
        seconds: that each graph took to compress.
        search: how its recipe was found; None where it was given.
    """

    fp16_bytes: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    search: SearchRecord | None = None

    def to_json(self) -> dict[str, Any] | None:
        """For the manifest: what there is, or None."""
        search = None if self.search is None else self.search.to_json()
        values = {"fp16_bytes": dict(self.fp16_bytes), "search": search, "seconds": dict(self.seconds)}
        return {name: value for name, value in values.items() if value} or None
