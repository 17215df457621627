"""What an evaluation found: `Evaluation`, all of ``evaluation.json``.

Shares (accuracy, agreement, BLEU, ROUGE-L) are from 0 to 1; CIDEr-D is from 0 to 10. Papers and `blipvino evaluate`'s
tables show them times 100. Every figure is an `Estimate`: ``value``, ``low``, ``high``, a 95% interval.

An `Evaluation` is:

=====================  ================================================================================================
``compressed``         `Model`: what was evaluated (``name``, ``place``, ``fingerprint``, ``precision``)
``original``           `Model`: what it is compared with; None without
``names``              what to call the two, the original's name first; one name without an original
``data``               `DataInfo`: ``source`` (for `open_source`), ``name``, ``images``, ``questions``, ``captioned``
``options``            `EvaluateOptions`; None where result files are scored
``answering``          how answers came about: "generated", which list was ranked, or which file was read
``answers``            `AnswerScore` rows: "all" first, then answer types, then question types; empty without questions
``captions``           `CaptionScore` rows: BLEU-1 … BLEU-4, ROUGE-L, CIDEr-D; empty without reference captions
``caption_agreement``  `Estimate`: share of images that both caption alike; None without captions or original
``answer_examples``    `AnswerExample` rows, those first on which the two models differ
``caption_examples``   `CaptionExample` rows, in the same order
``machine``            `Machine`
``started``            ISO 8601, UTC
``confidence``         of the intervals, 0.95
``resamples``          of the bootstrap
``reliability``        `Reliability` of answers and of captions: calibration error, and accuracy of the surest texts;
                       empty where result files are scored, or nothing is known of what is right
=====================  ================================================================================================

An `AnswerScore` has ``kind`` ("all", "answer type" or "question type"), ``name`` ("all", "yes/no", "what color is the",
…), ``questions``, ``images``, and `Estimate` or None for ``original``, ``compressed``, ``drop`` (original minus
compressed, paired: above 0 where compression cost accuracy) and ``agreement``. A `CaptionScore` has ``metric``,
``original``, ``compressed`` and ``drop``. An example's image is that of the sample with its ``image_id``, see
`blipvino.measure.evaluation.selection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from blipvino.checks import choice
from blipvino.data import DEFAULT_SEED
from blipvino.data.shortfalls import shortfall
from blipvino.errors import InputError
from blipvino.machine.devices import CPU, device_name
from blipvino.machine.host import ArithmeticOption
from blipvino.machine.record import Machine
from blipvino.measure.evaluation.evaluation_record import RESULTS_FILE, EvaluationRecord
from blipvino.measure.evaluation.reliability_scores import Reliability
from blipvino.metrics.bootstrap import Estimate
from blipvino.runtime.compiling.engine_options import Precision
from blipvino.runtime.decoding.ranking import DEFAULT_TOP_K

__all__ = [
    "AnswerExample",
    "AnswerScore",
    "CaptionExample",
    "CaptionScore",
    "DataInfo",
    "EvaluateOptions",
    "Evaluation",
    "read_evaluation",
]


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate on, and how texts come about.

    Attributes:
        samples: (image, question) pairs to answer.
        captions: images to caption.
        max_new_tokens: of every text; None is the checkpoint's own number.
        num_beams: of beam search; 1 is greedy.
        answers: file of answers to choose from, see `blipvino.data.read_answers`; None generates answers.
        top_k: of the answers to choose from, those with the likeliest first token are ranked; None ranks all.
        precision: of the evaluated bundle's arithmetic that is not quantized. The original computes in float32.
        arithmetic: of what is quantized; a graph that falls short of its self-test is evaluated all the same if one is
            asked for.
        seed: of the data's shuffle, and of the bootstrap.
        device: that the evaluated bundle runs on, as `EngineOptions` has it. The original runs on the CPU.
    """

    samples: int = 5000
    captions: int = 1000
    max_new_tokens: int | None = None
    num_beams: int = 1
    answers: str | None = None
    top_k: int | None = DEFAULT_TOP_K
    precision: Precision = "auto"
    seed: int = DEFAULT_SEED
    arithmetic: ArithmeticOption = "auto"
    device: str = CPU

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a number is too small.
        """
        choice("arithmetic", self.arithmetic, get_args(ArithmeticOption))
        object.__setattr__(self, "device", device_name(self.device))
        least = {"samples": 0, "captions": 0, "max_new_tokens": 1, "num_beams": 1, "top_k": 1}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise InputError(f"{name} is {value}, expected at least {minimum}")
        if self.samples == self.captions == 0:
            raise InputError("nothing to evaluate: both samples and captions are 0; raise one of them")


@dataclass(frozen=True)
class DataInfo:
    """The samples.

    Attributes:
        source: as it was named for `open_source`.
        name: the source's own name.
        images: distinct ones, asked about or captioned.
        questions: that were answered.
        captioned: images that were captioned.
    """

    source: str
    name: str
    images: int
    questions: int
    captioned: int

    def shortfall(self, options: EvaluateOptions, can_answer: bool) -> str | None:
        """What of the options there was too little data for, in a sentence.

        Args:
            options: what was asked for.
            can_answer: whether questions were asked at all.
        """
        images = ("images to caption", self.captioned, options.captions)
        return shortfall(self.name, ("questions", self.questions, options.samples if can_answer else 0), images)


@dataclass(frozen=True)
class AnswerScore:
    """VQA accuracy over one kind of questions.

    Attributes:
        kind: what the questions have in common.
        name: the type; "all" for all.
        questions: how many.
        images: how many they are about.
        original: accuracy of the original; None without one, or where no question has known answers.
        compressed: accuracy; None where no question has known answers.
        drop: original minus compressed, over the same draws of images.
        agreement: share of questions that both answer with the same text; None without an original.
    """

    kind: Literal["all", "answer type", "question type"]
    name: str
    questions: int
    images: int
    original: Estimate | None
    compressed: Estimate | None
    drop: Estimate | None
    agreement: Estimate | None


@dataclass(frozen=True)
class CaptionScore:
    """One metric over all captions that have references. ``original`` and ``drop`` are None without an original."""

    metric: str
    original: Estimate | None
    compressed: Estimate
    drop: Estimate | None


@dataclass(frozen=True)
class AnswerExample:
    """A question, the annotators' answers, and the models' with their accuracies (None where they are not known)."""

    image_id: int | str
    question_id: int
    question: str
    truth: tuple[str, ...]
    original: str | None
    compressed: str
    original_accuracy: float | None
    compressed_accuracy: float | None

    @property
    def differs(self) -> bool:
        """Whether the two models answer differently."""
        return self.original is not None and self.original != self.compressed


@dataclass(frozen=True)
class CaptionExample:
    """An image's reference captions, and the models' captions."""

    image_id: int | str
    truth: tuple[str, ...]
    original: str | None
    compressed: str

    @property
    def differs(self) -> bool:
        """Whether the two models caption differently."""
        return self.original is not None and self.original != self.compressed


@dataclass(frozen=True)
class Evaluation(EvaluationRecord):
    """All that an evaluation found; the module's docstring says what each field is."""

    data: DataInfo
    options: EvaluateOptions | None
    answering: str
    answers: tuple[AnswerScore, ...]
    captions: tuple[CaptionScore, ...]
    caption_agreement: Estimate | None
    answer_examples: tuple[AnswerExample, ...]
    caption_examples: tuple[CaptionExample, ...]
    machine: Machine
    started: str
    confidence: float
    resamples: int
    reliability: tuple[Reliability, ...] = ()


def read_evaluation(path: Path) -> Evaluation:
    """Read an ``evaluation.json``, or the one in a folder.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    return Evaluation.read(path / RESULTS_FILE if path.is_dir() else path)
