"""Calibration inputs of each graph, made from samples by the float model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blipvino.arrays import FloatArray, Pixels
from blipvino.data import Sample, bank_questions
from blipvino.progress import Reporter
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.inputs.texts import TextProcessor

Inputs = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class CalibrationImage:
    """One image, once, with its tokenized questions.

    Attributes:
        pixels: uint8 ``[1, size, size, 3]``.
        questions: ``input_ids`` and ``attention_mask`` of each, int64 ``[1, T]``.
    """

    pixels: Pixels
    questions: tuple[Inputs, ...]


class CalibrationSet:
    """Calibration images, and what the graphs after `vision` see of them.

    Image embeddings and question states are the float model's, as the tutorial has it, and are kept (in half
    precision): 300 images of BLIP-base take 266 MB. Keys and values, 48 times as large (two a layer, in float32), are
    not.
    """

    def __init__(self, images: Sequence[CalibrationImage]) -> None:
        self.images = images
        self._embeds: dict[int, npt.NDArray[np.float16]] = {}
        self._states: dict[int, npt.NDArray[np.float16]] = {}

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    @property
    def question_count(self) -> int:
        """The number of questions over all images."""
        return sum(len(image.questions) for image in self.images)

    def vision_inputs(self) -> list[Inputs]:
        """Inputs of `vision`, one an image."""
        return [{"pixels": image.pixels} for image in self.images]

    def keep_embeds(self, image: int, embeds: FloatArray) -> None:
        """Take the float `vision`'s output for the image of this number."""
        self._embeds[image] = embeds.astype(np.float16)

    @property
    def knows_embeds(self) -> bool:
        """Whether every image's embeddings are known."""
        return len(self._embeds) == len(self.images)

    def keep_states(self, question: int, states: FloatArray) -> None:
        """Take the float `question`'s output for the question of this number, in the order of `question_inputs`."""
        self._states[question] = states.astype(np.float16)

    @property
    def knows_states(self) -> bool:
        """Whether every question's states are known."""
        return len(self._states) == self.question_count

    def question_kv_inputs(self) -> list[Inputs]:
        """Inputs of `question_kv`, one an image, once their embeddings are known."""
        return [{"image_embeds": embeds} for embeds in self._in_order()]

    def question_inputs(self) -> list[Inputs]:
        """Inputs of `question`, one a question, with image embeddings where it has the keys and values made of them."""
        return [
            {**question, **embeds}
            for image, embeds in zip(self.images, self.question_kv_inputs(), strict=True)
            for question in image.questions
        ]

    def answer_kv_inputs(self) -> list[Inputs]:
        """Inputs of `answer_kv`: image embeddings, as captions have them, and question states where they are known."""
        states = [self._states[question] for question in sorted(self._states)]
        return [{"source_states": source} for source in (*self._in_order(), *states)]

    def _in_order(self) -> list[npt.NDArray[np.float16]]:
        return [self._embeds[image] for image in range(len(self.images))]


def prepare_calibration(
    samples: Sequence[Sample], images: ImageProcessor, texts: TextProcessor, reporter: Reporter
) -> CalibrationSet:
    """Decode, resize and tokenize the samples; an image without questions gets one of the bank."""
    numbered = reporter.track(enumerate(samples), "Preparing calibration data", len(samples))
    return CalibrationSet([_prepare_image(sample, number, images, texts) for number, sample in numbered])


def _prepare_image(sample: Sample, number: int, images: ImageProcessor, texts: TextProcessor) -> CalibrationImage:
    questions = []
    for question in sample.questions or bank_questions(number, 1):
        tokens = texts.questions([question.text])
        questions.append({"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask})
    return CalibrationImage(images.pixels([sample.image()]), tuple(questions))
