"""Texts and rankings of one batch: from features and tokens through the question encoder and the decoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.arrays import FloatArray, IntArray
from blipvino.checkpoint.config import TextConfig
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation import generate
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.ranking import AnswerList, Ranking, rank
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TokenBatch


class TextGenerator:
    """Generates the texts of a batch, one row an image or a question; no row's text depends on the others.

    Its calls may come from several threads: they take turns at the engine, whose lock each holds for its whole batch.

    Args:
        extractor: that made the features; the engine is its.
        config: of the text model.
    """

    def __init__(self, extractor: FeatureExtractor, config: TextConfig) -> None:
        self._extractor = extractor
        self._engine = extractor.engine
        self._config = config

    def prepare(self, positions: int, texts: int, options: GenerationOptions) -> None:
        """Have the decoder loaded for a first batch of so many texts over sources of so many positions."""
        if texts:
            with self._engine.lock:
                self._engine.prepare(positions, texts * options.num_beams)

    def caption(
        self,
        features: Sequence[ImageFeatures],
        prompt: list[int],
        rngs: Sequence[np.random.Generator],
        options: GenerationOptions,
    ) -> list[GeneratedTokens]:
        """Describe images: the decoder attends to the images themselves.

        Args:
            features: of each image.
            prompt: token ids that every caption begins with.
            rngs: one an image, of `row_generators`; used by sampling alone.
            options: how to choose tokens.
        """
        embeds = np.stack([image.image_embeds for image in features])
        with self._engine.lock:
            return self._decode(embeds, np.ones(embeds.shape[:2], np.int64), prompt, rngs, options)

    def answer(
        self,
        features: Sequence[ImageFeatures],
        questions: TokenBatch,
        prompt: list[int],
        rngs: Sequence[np.random.Generator],
        options: GenerationOptions,
    ) -> list[GeneratedTokens]:
        """Answer questions: the decoder attends to the question encoder's states.

        Args:
            features: of the image that each question is about.
            questions: their tokens.
            prompt: token ids that every answer begins with.
            rngs: one a question, of `row_generators`; used by sampling alone.
            options: how to choose tokens.
        """
        with self._engine.lock:
            states = self.question_states(features, questions)
            return self._decode(states, questions.attention_mask, prompt, rngs, options)

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

    def _decode(
        self,
        source_states: FloatArray,
        source_mask: IntArray,
        prompt: list[int],
        rngs: Sequence[np.random.Generator],
        options: GenerationOptions,
    ) -> list[GeneratedTokens]:
        step = self._engine.decode(source_states, source_mask)
        return generate(step, prompt, rngs, self._config.sep_token_id, options)
