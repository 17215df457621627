"""Questions about images: what the decoder attends to, and rankings of answers to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.checkpoint.config import TextConfig
from blipvino.runtime.decoding.ranking import AnswerList, Ranking, rank
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TokenBatch


class QuestionReader:
    """Reads the questions of a batch, one row a question; no row depends on the others.

    Its calls may come from several threads: they take turns at the engine, whose lock each holds for its whole batch.

    Args:
        extractor: that made the features; the engine is its.
        config: of the text model.
    """

    def __init__(self, extractor: FeatureExtractor, config: TextConfig) -> None:
        self._extractor = extractor
        self._engine = extractor.engine
        self._config = config

    def rank(
        self,
        features: Sequence[ImageFeatures],
        questions: TokenBatch,
        prompt: list[int],
        answers: AnswerList,
        top_k: int | None,
    ) -> list[Ranking]:
        """Rank given answers to each question.

        Args:
            features: of the image that each question is about.
            questions: their tokens.
            prompt: token ids that every answer begins with.
            answers: to choose from.
            top_k: rank those alone whose first token is among the likeliest so many; None ranks all.
        """
        with self._engine.lock:
            states = self.question_states(features, questions)
            decoders = self._engine.branch(states, questions.attention_mask)
            return [rank(decoder, prompt, answers, top_k) for decoder in decoders]

    def question_states(self, features: Sequence[ImageFeatures], questions: TokenBatch) -> FloatArray:
        """States ``[R, T, D]`` of one question about each image; each image with its own questions at a time.

        Whoever calls it holds the engine's lock.

        Args:
            features: of the image that each question is about.
            questions: their tokens.
        """
        states = np.empty((*questions.input_ids.shape, self._config.hidden_size), np.float32)
        for image in dict.fromkeys(features):
            rows = [row for row, other in enumerate(features) if other is image]
            states[rows] = self._engine.question_states(
                questions.input_ids[rows], questions.attention_mask[rows], self._extractor.question_kv(image)
            )
        return states
