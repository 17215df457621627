"""What an evaluation of a bundle for retrieval found: `RetrievalEvaluation`, all of ``evaluation.json``.

Shares are from 0 to 1; tables show them times 100. Every figure is an `Estimate`: ``value``, ``low``, ``high``, a 95%
interval over images that are drawn with replacement, while the gallery stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, get_args

from blipvino.checks import choice
from blipvino.data import DEFAULT_SEED
from blipvino.data.shortfalls import shortfall
from blipvino.errors import InputError
from blipvino.machine.devices import CPU, device_name
from blipvino.machine.host import ArithmeticOption
from blipvino.machine.record import Machine
from blipvino.measure.evaluation.evaluation_record import EvaluationRecord
from blipvino.measure.recall.text_gallery import TextGallery
from blipvino.metrics.bootstrap import Estimate
from blipvino.metrics.recall import RECALL_AT
from blipvino.runtime.compiling.engine_options import Precision

Direction = Literal["text to image", "image to text"]


@dataclass(frozen=True)
class RetrievalOptions:
    """What to evaluate on.

    Attributes:
        images: of the gallery.
        texts: captions of each image that are looked for and found, at the most; COCO's protocol has 5.
        candidates: that matching puts in order, of the most similar.
        precision: of the evaluated bundle's arithmetic that is not quantized. The original computes in float32.
        arithmetic: of what is quantized.
        seed: of the data's shuffle, and of the bootstrap.
        device: that the evaluated bundle runs on. The original runs on the CPU.
    """

    images: int = 1000
    texts: int = 1
    candidates: int = 32
    precision: Precision = "auto"
    arithmetic: ArithmeticOption = "auto"
    seed: int = DEFAULT_SEED
    device: str = CPU

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a number is too small.
        """
        choice("arithmetic", self.arithmetic, get_args(ArithmeticOption))
        object.__setattr__(self, "device", device_name(self.device))
        for name, least in {"images": 2, "texts": 1, "candidates": max(RECALL_AT)}.items():
            value = getattr(self, name)
            if value < least:
                raise InputError(f"{name} is {value}, expected at least {least}")


@dataclass(frozen=True)
class GalleryInfo:
    """The samples.

    Attributes:
        source: as it was named for `open_source`.
        name: the source's own name.
        images: of the gallery.
        texts: of all images.
        claims: about all images.
    """

    source: str
    name: str
    images: int
    texts: int
    claims: int

    @classmethod
    def of(cls, gallery: TextGallery, source: str, name: str) -> Self:
        """What there is in a gallery of a source."""
        return cls(source, name, len(gallery.samples), len(gallery.texts), sum(map(len, gallery.claims)))

    def shortfall(self, options: RetrievalOptions) -> str | None:
        """What of the options there was too little data for, in a sentence."""
        return shortfall(self.name, ("images with captions of their own", self.images, options.images))


@dataclass(frozen=True)
class RecallScore:
    """How often the right one is among the first ``k``.

    Attributes:
        direction: what finds what.
        reranked: whether matching put the most similar in order; else they are as similarity has them.
        k: how many are looked at.
        original: None without an original, as ``drop``.
        compressed: of the bundle.
        drop: original minus compressed, over the same draws of images.
    """

    direction: Direction
    reranked: bool
    k: int
    original: Estimate | None
    compressed: Estimate
    drop: Estimate | None


@dataclass(frozen=True)
class FirstAgreement:
    """How often both models find the same one first."""

    direction: Direction
    reranked: bool
    agreement: Estimate


@dataclass(frozen=True)
class MatchingScore:
    """How often claims of a kind are judged rightly; ``original``, ``drop`` and ``agreement`` may be None.

    Attributes:
        kind: of claims; "all" for all.
        claims: how many.
        original: share of them.
        compressed: share of them.
        drop: original minus compressed.
        agreement: share that both judge alike.
    """

    kind: str
    claims: int
    original: Estimate | None
    compressed: Estimate
    drop: Estimate | None
    agreement: Estimate | None


@dataclass(frozen=True)
class RetrievalEvaluation(EvaluationRecord):
    """All that an evaluation found.

    Attributes:
        compressed: what was evaluated.
        original: what it is compared with; None without.
        data: the gallery.
        options: what was asked for.
        recall: both directions, by similarity and re-ranked, each at 1, 5 and 10.
        agreement: both directions, by similarity and re-ranked; empty without an original.
        matching: "all", then by kind of claims.
        machine: that it ran on.
        started: ISO 8601, UTC.
        confidence: of the intervals, 0.95.
        resamples: of the bootstrap.
    """

    data: GalleryInfo
    options: RetrievalOptions
    recall: tuple[RecallScore, ...]
    agreement: tuple[FirstAgreement, ...]
    matching: tuple[MatchingScore, ...]
    machine: Machine
    started: str
    confidence: float
    resamples: int
