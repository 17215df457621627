"""Any number of images and questions, batch after batch: what is too much is refused before the first one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from blipvino.checks import flag, integer, shown
from blipvino.progress import Reporter
from blipvino.runtime.arriving import arrival_of
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation import endless_generators, row_generators
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.ranking import AnswerList, Ranking
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.limits import Limits
from blipvino.runtime.pairing import Image, QuestionPairs, paired_features
from blipvino.runtime.prefetch import PREFETCHED_BATCHES, prefetched_features
from blipvino.runtime.question_reader import QuestionReader
from blipvino.runtime.scheduling.in_order import texts_in_order
from blipvino.runtime.scheduling.jobs import Caller, SharedImage, TextJob
from blipvino.runtime.scheduling.read_ahead import ImagesAhead, read_image
from blipvino.runtime.scheduling.scheduler import Scheduler
from blipvino.runtime.scheduling.streaming import stream_text

AHEAD = 2
"""Times a batch: texts that are being worked on; one batch more is being read."""


@dataclass(frozen=True)
class TextRequest:
    """How texts are to be generated.

    Attributes:
        prompt: token ids that every text begins with.
        options: how its tokens are chosen.
        batch_size: texts that are generated together.
        reporter: shows the batches that are done.
    """

    prompt: list[int]
    options: GenerationOptions
    batch_size: int
    reporter: Reporter

    @classmethod
    def checked(
        cls, prompt: list[int], batch_size: int, show_progress: bool, options: Mapping[str, Any]
    ) -> TextRequest:
        """A request of a prompt's tokens and what callers give.

        Raises:
            InputError: the size or an option is not allowed.
        """
        size, reporter = integer("batch_size", batch_size, 1), Reporter(flag("show_progress", show_progress))
        return cls(prompt, GenerationOptions.from_keywords(options), size, reporter)


class _Jobs(Iterator[TextJob]):
    """A job an image, or a question about one."""

    def __init__(
        self,
        images: ImagesAhead,
        rngs: Iterator[np.random.Generator],
        questions: Iterator[list[int]] | None,
        request: TextRequest,
        caller: Caller,
    ) -> None:
        self.has_arrived = images.has_arrived
        self._images = images
        self._rngs = rngs
        self._questions = questions
        self._request = request
        self._caller = caller

    def __next__(self) -> TextJob:
        image = next(self._images)
        question = None if self._questions is None else next(self._questions)
        request = self._request
        return TextJob(self._caller, image, question, request.prompt, next(self._rngs), request.options)


class _Split(Iterator[Image]):
    """The images of pairs, of which the questions come after."""

    def __init__(self, pairs: Iterator[tuple[Image, list[int]]]) -> None:
        self.has_arrived = arrival_of(pairs)
        self._pairs = pairs
        self._questions: deque[list[int]] = deque()

    def __next__(self) -> Image:
        image, question = next(self._pairs)
        self._questions.append(question)
        return image

    def questions(self) -> Iterator[list[int]]:
        """The question of each image that was taken, in order."""
        while True:
            yield self._questions.popleft()


class BatchRunner:
    """Has features, texts and rankings made of what a call is about.

    Its calls may come from several threads: their texts are generated side by side; for features they take turns batch
    by batch, for rankings step by step.

    Args:
        extractor: images to features.
        questions: features and tokens to rankings.
        scheduler: generates the texts of all callers.
        texts: that pad questions.
        limits: of what is taken.
        positions: of an image's embeddings.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        questions: QuestionReader,
        scheduler: Scheduler,
        texts: TextProcessor,
        limits: Limits,
        positions: int,
    ) -> None:
        self._extractor = extractor
        self._questions = questions
        self._scheduler = scheduler
        self._texts = texts
        self._limits = limits
        self._positions = positions

    def features(self, images: Sequence[Image]) -> list[ImageFeatures]:
        """Features of images, all at once.

        Raises:
            ImageError: an image cannot be read.
            InputError: they are more images than memory holds the features of.
        """
        self._limits.check_images(len(images), f"features of {len(images)} images", "use feature_stream()")
        return self._extractor.extract(images)

    def feature_stream(self, images: Iterator[Image], batch_size: int) -> Generator[list[ImageFeatures]]:
        """Features of batch after batch, prefetched. An image that cannot be read raises when its turn comes.

        Raises:
            InputError: the batches that are held at a time are too large for memory.
        """
        held = (PREFETCHED_BATCHES + 1) * batch_size
        self._limits.check_images(held, f"batch_size {shown(batch_size)}", "lower it")
        return prefetched_features(images, batch_size, self._extractor)

    def caption(self, images: Sequence[Image], request: TextRequest) -> list[GeneratedTokens]:
        """The tokens of each image's caption, those of the prompt included.

        Raises:
            ImageError: an image cannot be read.
            InputError: the model or memory does not allow that many tokens, beams or images at a time.
        """
        together = min(request.batch_size, len(images))
        self._check(together, self._positions, request)
        seeds = iter(row_generators(len(images), request.options.seed))
        made = self._texts_of(iter(images), seeds, None, request, together)
        with closing(made):
            return list(request.reporter.track(made, "Captioning", len(images)))

    def caption_stream(self, images: Iterator[Image], request: TextRequest) -> Generator[GeneratedTokens]:
        """As `caption`, one by one; images are read and looked at ahead. It shows no progress.

        Raises:
            InputError: as `caption`, at once.
        """
        held = (AHEAD + 1) * request.batch_size
        self._limits.check_images(held, f"batch_size {shown(request.batch_size)}", "lower it")
        self._check(request.batch_size, self._positions, request)
        return self._texts_of(images, endless_generators(request.options.seed), None, request, request.batch_size)

    def answer(self, pairs: QuestionPairs, request: TextRequest) -> list[GeneratedTokens]:
        """The tokens of each question's answer, those of the prompt included.

        Raises:
            ImageError: an image cannot be read.
            InputError: the model or memory does not allow that many tokens, beams or questions at a time.
        """
        tokens = pairs.tokens
        together = min(request.batch_size, len(tokens))
        self._check(together, max(map(len, tokens), default=0), request)
        seeds = iter(row_generators(len(tokens), request.options.seed))
        made = self._texts_of(iter(pairs.images), seeds, iter(tokens), request, together)
        with closing(made):
            return list(request.reporter.track(made, "Answering", len(tokens)))

    def answer_stream(
        self, pairs: Iterator[tuple[Image, list[int]]], request: TextRequest
    ) -> Generator[GeneratedTokens]:
        """As `answer`, one by one, of any number of images and questions' tokens; images are read and looked at ahead.

        Raises:
            InputError: the model or memory does not allow that many tokens, beams or questions at a time.
        """
        longest = self._limits.longest_question
        self._check(request.batch_size, longest, request)
        split = _Split(pairs)
        rngs = endless_generators(request.options.seed)
        return self._texts_of(split, rngs, split.questions(), request, request.batch_size)

    def caption_job(
        self, image: SharedImage, request: TextRequest, caller: Caller, rng: np.random.Generator
    ) -> TextJob:
        """A caption to be submitted.

        Raises:
            InputError: as `caption`.
        """
        self._check(1, self._positions, request)
        return TextJob(caller, image, None, request.prompt, rng, request.options)

    def answer_job(
        self,
        image: SharedImage,
        question: list[int],
        request: TextRequest,
        caller: Caller,
        rng: np.random.Generator,
    ) -> TextJob:
        """The answer to a question, given as tokens, to be submitted.

        Raises:
            InputError: as `answer`.
        """
        self._check(1, len(question), request)
        return TextJob(caller, image, question, request.prompt, rng, request.options)

    def caption_pieces(
        self, image: Image, request: TextRequest, finished: Callable[[GeneratedTokens], str]
    ) -> Generator[str]:
        """A caption in pieces; ``finished`` makes the text of all its tokens.

        Raises:
            ImageError: the image cannot be read.
            InputError: as `caption`.
        """
        (rng,) = row_generators(1, request.options.seed)
        job = self.caption_job(read_image(image, self._extractor), request, Caller(1), rng)
        return stream_text(self._scheduler, job, self._texts, finished)

    def answer_pieces(
        self, image: Image, question: list[int], request: TextRequest, finished: Callable[[GeneratedTokens], str]
    ) -> Generator[str]:
        """An answer likewise.

        Raises:
            ImageError: the image cannot be read.
            InputError: as `answer`.
        """
        (rng,) = row_generators(1, request.options.seed)
        job = self.answer_job(read_image(image, self._extractor), question, request, Caller(1), rng)
        return stream_text(self._scheduler, job, self._texts, finished)

    def _check(self, texts: int, positions: int, request: TextRequest) -> None:
        self._limits.check_generation(len(request.prompt), texts, positions, request.options)

    def _texts_of(
        self,
        images: Iterator[Image],
        rngs: Iterator[np.random.Generator],
        questions: Iterator[list[int]] | None,
        request: TextRequest,
        together: int,
    ) -> Generator[GeneratedTokens]:
        """Texts about images, in order, so many of them decoded together at the most."""
        with closing(ImagesAhead(images, self._extractor, request.batch_size)) as read:
            jobs = _Jobs(read, rngs, questions, request, Caller(together))
            yield from texts_in_order(self._scheduler, jobs, AHEAD * request.batch_size)

    def rank(
        self,
        pairs: QuestionPairs,
        prompt: list[int],
        answers: AnswerList,
        top_k: int | None,
        batch_size: int,
        reporter: Reporter,
    ) -> list[Ranking]:
        """The ranking of the answers to each question.

        Raises:
            ImageError: an image cannot be read.
            InputError: the answers are another model's, or memory does not allow that many questions at a time.
        """
        self._limits.check_ranking(pairs.tokens, answers, batch_size)
        rankings: list[Ranking] = []
        batches = batch_slices(len(pairs.tokens), batch_size, "Ranking", reporter)
        for batch, features in paired_features(pairs.images, batches, self._questions.look):
            questions = self._texts.batch(pairs.tokens[batch])
            rankings += self._questions.rank(features, questions, prompt, answers, top_k)
        return rankings


def batch_slices(count: int, size: int, description: str, reporter: Reporter) -> Iterator[slice]:
    """The places of each batch of so many things, under a progress bar."""
    slices = [slice(first, first + size) for first in range(0, count, size)]
    return reporter.track(slices, description, len(slices))
