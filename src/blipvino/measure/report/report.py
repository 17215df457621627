"""All that a report tells: what was measured, and of which bundle."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from blipvino.bundle.bundle import Bundle
from blipvino.data import DEFAULT_SEED
from blipvino.errors import InputError
from blipvino.measure.cost import Cost
from blipvino.measure.diagnosis.diagnosis import Diagnosis
from blipvino.measure.evaluation.evaluation import AnswerExample, CaptionExample, Evaluation
from blipvino.measure.recall.retrieval_evaluation import RetrievalEvaluation

__all__ = ["Example", "Report", "ReportOptions"]


@dataclass(frozen=True)
class ReportOptions:
    """How much to measure. 0 leaves a measurement out.

    Attributes:
        samples: questions that both models answer.
        captions: images that both models caption.
        images: that both models of a bundle for retrieval look through.
        latency_samples: images that are captioned, and questions that are answered, against the clock.
        diagnose_samples: samples that error by layer is measured on.
        max_new_tokens: of every text; None is the checkpoint's own number.
        seed: of the data's shuffle.
    """

    samples: int = 500
    captions: int = 100
    latency_samples: int = 100
    diagnose_samples: int = 20
    max_new_tokens: int | None = None
    seed: int = DEFAULT_SEED
    images: int = 500

    def __post_init__(self) -> None:
        """Check the ranges that nothing else checks.

        Raises:
            InputError: a number is too small.
        """
        for name in ("latency_samples", "diagnose_samples"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 0")


@dataclass(frozen=True)
class Example:
    """An image, upright RGB, the name of its file or of what it is, and what both models say of it."""

    image: Image.Image
    answers: tuple[AnswerExample, ...] = ()
    captions: tuple[CaptionExample, ...] = ()
    name: str = ""

    @property
    def differs(self) -> bool:
        """Whether the models say different things of it."""
        return any(said.differs for said in self.answers) or any(said.differs for said in self.captions)


@dataclass(frozen=True)
class Report:
    """What a report tells.

    Attributes:
        bundle: the compressed bundle.
        cost: sizes and latencies beside the original's.
        data: the samples of the latencies, for `blipvino.data.open_source`.
        evaluation: beside the original.
        diagnosis: error by layer; None where it was not measured.
        examples: those on which the models differ first.
        options: how much was measured.
        made: ISO 8601, UTC.
    """

    bundle: Bundle
    cost: Cost
    data: str
    evaluation: Evaluation | RetrievalEvaluation
    diagnosis: Diagnosis | None
    examples: tuple[Example, ...]
    options: ReportOptions
    made: str
