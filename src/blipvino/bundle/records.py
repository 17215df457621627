"""What a manifest records of how its bundle was made, beside the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from blipvino.bundle.search_record import SearchRecord
from blipvino.metrics.confidence import ConfidenceScale

__all__ = ["CalibrationRecord", "ConfidenceRecord", "FittedConfidence", "Measurements"]


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


@dataclass(frozen=True)
class FittedConfidence:
    """How the probability of a bundle's text becomes that of its being right, and what this was fitted on.

    Attributes:
        temperature: of `blipvino.metrics.confidence.ConfidenceScale`.
        offset: likewise.
        source: name of the samples.
        samples: texts.
        seed: of the samples' shuffle.
        accuracy: the share of these texts that was right, from 0 to 1.
        cut_off: confidence of texts that ``max_new_tokens`` cut off, of which only the beginning has a probability: the
            share of these that was right; None where there were none, and they count as the others.
        least_cider: from which CIDEr-D on a caption was right; None where a reference was asked for word for word, and
            of answers, which are right by VQA accuracy.
    """

    temperature: float
    offset: float
    source: str
    samples: int
    seed: int
    accuracy: float
    cut_off: float | None = None
    least_cider: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: they scale no confidence.
        """
        _ = self.scale
        if self.cut_off is not None and not 0 <= self.cut_off <= 1:
            raise ValueError(f"cut_off is {self.cut_off}, expected a probability")

    @property
    def scale(self) -> ConfidenceScale:
        """The two numbers as what applies them."""
        return ConfidenceScale(self.temperature, self.offset)


@dataclass(frozen=True)
class ConfidenceRecord:
    """What was fitted of a bundle's confidence; None where nothing was."""

    answers: FittedConfidence | None = None
    captions: FittedConfidence | None = None

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)
