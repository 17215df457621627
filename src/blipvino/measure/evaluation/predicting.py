"""A model's answers and captions of what is assigned, batch after batch of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from blipvino.measure.evaluation.predictions import Answer, Prediction, TextScore
from blipvino.measure.evaluation.selection import Assignment
from blipvino.runtime.blip import Blip
from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.decoding.ranking import DEFAULT_TOP_K, AnswerList
from blipvino.runtime.features import ImageFeatures

_Scored = tuple[str, TextScore]
"""A text, and how likely the model finds it."""


class Predictor:
    """A model that answers and captions.

    Args:
        blip: the model.
        max_new_tokens: of every text.
        num_beams: of beam search; 1 is greedy.
        answers: those to choose from; None generates answers.
        top_k: of the answers to choose from, those with the likeliest first token are ranked; None ranks all.
    """

    def __init__(
        self,
        blip: Blip,
        *,
        max_new_tokens: int,
        num_beams: int = 1,
        answers: tuple[str, ...] | None = None,
        top_k: int | None = DEFAULT_TOP_K,
    ) -> None:
        self._blip = blip
        self._answers = None if answers is None else AnswerList(answers, blip.texts)
        self._top_k = top_k
        self._generation: dict[str, Any] = {"max_new_tokens": max_new_tokens, "num_beams": num_beams}

    def predict(self, assignments: Sequence[Assignment], batch_size: int) -> Iterator[list[Prediction]]:
        """The predictions of so many images at a time, whose texts are decoded together.

        Raises:
            ImageError: an image cannot be read; raised when its turn comes.
            InputError: ``batch_size`` is not allowed.
        """
        batches = [assignments[first : first + batch_size] for first in range(0, len(assignments), batch_size)]
        images = (one.sample.image() for one in assignments)
        for batch, features in zip(batches, self._blip.feature_stream(images, batch_size=batch_size), strict=True):
            yield self._predict(batch, features)

    def _predict(self, batch: Sequence[Assignment], features: Sequence[ImageFeatures]) -> list[Prediction]:
        captioned = [image for image, one in zip(features, batch, strict=True) if one.captioned]
        captions = iter(self._captions(captioned))
        asked = [(image, q.text) for image, one in zip(features, batch, strict=True) for q in one.sample.questions]
        answers = iter(self._answer([image for image, _ in asked], [text for _, text in asked]))
        return [
            Prediction(
                one.sample.image_id,
                tuple(Answer(question.question_id, *next(answers)) for question in one.sample.questions),
                *(next(captions) if one.captioned else (None, None)),
            )
            for one in batch
        ]

    def _captions(self, images: list[ImageFeatures]) -> list[_Scored]:
        made = self._blip.caption(images, return_scores=True, batch_size=max(1, len(images)), **self._generation)
        return list(map(_scored, made))

    def _answer(self, images: list[ImageFeatures], questions: list[str]) -> list[_Scored]:
        if not questions:
            return []
        size = len(questions)
        if self._answers is not None:
            rankings = self._blip.rank(images, questions, self._answers, top_k=self._top_k, batch_size=size)
            return [(one.answer, TextScore(one.log_likelihoods[0], False)) for one in rankings]
        made = self._blip.answer(images, questions, return_scores=True, batch_size=size, **self._generation)
        return list(map(_scored, made))


def _scored(made: Generated) -> _Scored:
    return made.text, TextScore(made.logprob, made.finish_reason == "length")
