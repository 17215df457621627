"""Calibration inputs of each graph, made from samples by the float model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import openvino as ov

from blipvino.data import Sample
from blipvino.progress import Reporter
from blipvino.runtime.images import ImageProcessor
from blipvino.runtime.tokens import TextProcessor

Inputs = Mapping[str, npt.NDArray[np.generic]]

FALLBACK_QUESTIONS = (
    "what is in the picture?",
    "how many people are there?",
    "what color is it?",
    "where was this taken?",
    "is there an animal in the picture?",
    "what is the person doing?",
)
"""Asked of images that come without questions, so that the question encoder sees text at all."""


@dataclass(frozen=True)
class CalibrationImage:
    """One image, once, with its tokenized questions.

    Attributes:
        pixels: uint8 ``[1, size, size, 3]``.
        questions: ``input_ids`` and ``attention_mask`` of each, int64 ``[1, T]``.
    """

    pixels: npt.NDArray[np.uint8]
    questions: tuple[Inputs, ...]


class CalibrationSet:
    """Calibration images, and what the graphs after `vision` see of them.

    Image embeddings are the float model's, as the tutorial has it, and are kept (in half precision): 300 images of
    BLIP-base take 266 MB. Keys and values, 48 times as large (two a layer, in float32), are projected when asked for.
    """

    def __init__(self, images: Sequence[CalibrationImage]) -> None:
        self.images = images
        self._embeds: list[npt.NDArray[np.float16]] = []

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

    def embed(self, vision: ov.CompiledModel, reporter: Reporter) -> None:
        """Run the float `vision` on every image and keep its image embeddings."""
        request = vision.create_infer_request()
        for image in reporter.track(self.images, "Embedding calibration images", len(self.images)):
            self._embeds.append(np.array(request.infer({"pixels": image.pixels})["image_embeds"], dtype=np.float16))

    def question_kv_inputs(self) -> list[Inputs]:
        """Inputs of `question_kv`, one an image, after `embed`."""
        return [{"image_embeds": embeds} for embeds in self._float_embeds()]

    def question_inputs(self, question_kv: ov.CompiledModel) -> QuestionInputs:
        """Inputs of `question`, one a question, after `embed`; keys and values by the float ``question_kv``."""
        return QuestionInputs(self, question_kv)

    def _float_embeds(self) -> Iterator[npt.NDArray[np.float32]]:
        return (embeds.astype(np.float32) for embeds in self._embeds)

    def iterate_questions(self, question_kv: ov.CompiledModel) -> Iterator[Inputs]:
        """One question's inputs after the other; an image's keys and values are projected once for all of its own."""
        request = question_kv.create_infer_request()
        for image, embeds in zip(self.images, self._float_embeds(), strict=True):
            results = request.infer({"image_embeds": embeds})
            cross = {output.get_any_name(): np.array(value) for output, value in results.items()}
            for question in image.questions:
                yield {**question, **cross}


@dataclass(frozen=True)
class QuestionInputs:
    """The inputs of `question` as an iterable that can be walked any number of times, and has a length."""

    calibration: CalibrationSet
    question_kv: ov.CompiledModel

    def __iter__(self) -> Iterator[Inputs]:
        """Project and yield, image by image."""
        return self.calibration.iterate_questions(self.question_kv)

    def __len__(self) -> int:
        """The number of questions."""
        return self.calibration.question_count


def prepare_calibration(
    samples: Sequence[Sample], images: ImageProcessor, texts: TextProcessor, reporter: Reporter
) -> CalibrationSet:
    """Decode, resize and tokenize the samples; an image without questions gets one of `FALLBACK_QUESTIONS`."""
    numbered = reporter.track(enumerate(samples), "Preparing calibration data", len(samples))
    return CalibrationSet([_prepare_image(sample, number, images, texts) for number, sample in numbered])


def _prepare_image(sample: Sample, number: int, images: ImageProcessor, texts: TextProcessor) -> CalibrationImage:
    asked = [question.text for question in sample.questions] or [FALLBACK_QUESTIONS[number % len(FALLBACK_QUESTIONS)]]
    questions = []
    for text in asked:
        tokens = texts.questions([text])
        questions.append({"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask})
    return CalibrationImage(images.pixels([sample.image()]), tuple(questions))
