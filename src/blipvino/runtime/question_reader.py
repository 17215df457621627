"""Rankings of given answers to questions about images."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from blipvino.runtime.decoding.ranking import AnswerList, Ranking, rank
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TokenBatch
from blipvino.runtime.pairing import Image
from blipvino.runtime.question_batches import question_states
from blipvino.runtime.scheduling.turns import Turns, Work


class QuestionReader:
    """Ranks answers to the questions of a batch; no question depends on the others.

    Its calls may come from several threads: one batch is ranked at a time, in short turns with whatever else the model
    does. It holds the engine's lock for no longer than such a turn.

    Args:
        extractor: that made the features; the engine is its.
        turns: in which all threads of the model work.
    """

    def __init__(self, extractor: FeatureExtractor, turns: Turns) -> None:
        self._extractor = extractor
        self._engine = extractor.engine
        self._turns = turns
        self._ranking = threading.Lock()

    def look(self, images: Sequence[Image]) -> list[ImageFeatures]:
        """Features of images, of which no more are looked at in a turn than side by side.

        Raises:
            ImageError: an image cannot be read.
            InputError: features that another bundle made.
        """
        unknown = [image for image in images if not isinstance(image, ImageFeatures)]
        pixels = list(self._extractor.images.pixels(unknown)) if unknown else []
        together = self._engine.images_at_once
        made: list[ImageFeatures] = []
        for first in range(0, len(pixels), together):
            with self._turns.turn(Work.RANKINGS):
                made += self._extractor.encode(pixels[first : first + together])
        seen = iter(made)
        return self._extractor.extract([image if isinstance(image, ImageFeatures) else next(seen) for image in images])

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
        with self._ranking:
            states = question_states(self._extractor, features, questions, self._turn)
            with self._turn():
                decoders = self._engine.branch(states, questions.attention_mask, self._turn)
            return [rank(decoder, prompt, answers, top_k) for decoder in decoders]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._turns.turn(Work.RANKINGS), self._engine.lock:
            yield
