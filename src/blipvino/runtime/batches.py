"""Any number of images and questions, batch after batch: what is too much is refused before the first one."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from blipvino.checks import flag, integer, shown
from blipvino.progress import Reporter
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation import row_generators
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.ranking import AnswerList, Ranking
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.limits import Limits
from blipvino.runtime.pairing import Image, QuestionPairs, paired_features
from blipvino.runtime.prefetch import PREFETCHED_BATCHES, prefetched_features
from blipvino.runtime.text_generator import TextGenerator


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


class BatchRunner:
    """Cuts what a call is about into batches and has features, texts and rankings made of each in turn.

    Its calls may come from several threads; they take turns batch by batch.

    Args:
        extractor: images to features.
        generator: features and tokens to texts.
        texts: that pad questions.
        limits: of what is taken.
        positions: of an image's embeddings.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        generator: TextGenerator,
        texts: TextProcessor,
        limits: Limits,
        positions: int,
    ) -> None:
        self._extractor = extractor
        self._generator = generator
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
        prompt, options, texts = request.prompt, request.options, min(request.batch_size, len(images))
        self._limits.check_generation(len(prompt), texts, self._positions, options)
        self._generator.prepare(self._positions, texts, options)
        rngs = row_generators(len(images), options.seed)
        rows: list[GeneratedTokens] = []
        for batch in batch_slices(len(images), request.batch_size, "Captioning", request.reporter):
            rows += self._generator.caption(self._extractor.extract(images[batch]), prompt, rngs[batch], options)
        return rows

    def caption_stream(self, images: Iterator[Image], request: TextRequest) -> Generator[GeneratedTokens]:
        """As `caption`, one by one, with features prefetched as by `feature_stream`. It shows no progress.

        Raises:
            InputError: as `caption`, at once.
        """
        features = self.feature_stream(images, request.batch_size)
        self._limits.check_generation(len(request.prompt), request.batch_size, self._positions, request.options)
        return self._caption_stream(features, request)

    def _caption_stream(
        self, features: Generator[list[ImageFeatures]], request: TextRequest
    ) -> Generator[GeneratedTokens]:
        seeds = np.random.SeedSequence(request.options.seed)
        self._generator.prepare(self._positions, request.batch_size, request.options)
        with closing(features):
            for batch in features:
                rngs = [np.random.default_rng(child) for child in seeds.spawn(len(batch))]
                yield from self._generator.caption(batch, request.prompt, rngs, request.options)

    def answer(self, pairs: QuestionPairs, request: TextRequest) -> list[GeneratedTokens]:
        """The tokens of each question's answer, those of the prompt included.

        Raises:
            ImageError: an image cannot be read.
            InputError: the model or memory does not allow that many tokens, beams or questions at a time.
        """
        prompt, options, tokens = request.prompt, request.options, pairs.tokens
        first = tokens[: request.batch_size]
        self._limits.check_generation(len(prompt), len(first), max(map(len, tokens), default=0), options)
        self._generator.prepare(max(map(len, first), default=0), len(first), options)
        rngs = row_generators(len(tokens), options.seed)
        rows: list[GeneratedTokens] = []
        batches = batch_slices(len(tokens), request.batch_size, "Answering", request.reporter)
        for batch, features in paired_features(pairs.images, batches, self._extractor):
            rows += self._generator.answer(features, self._texts.batch(tokens[batch]), prompt, rngs[batch], options)
        return rows

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
        for batch, features in paired_features(pairs.images, batches, self._extractor):
            questions = self._texts.batch(pairs.tokens[batch])
            rankings += self._generator.rank(features, questions, prompt, answers, top_k)
        return rankings


def batch_slices(count: int, size: int, description: str, reporter: Reporter) -> Iterator[slice]:
    """The places of each batch of so many things, under a progress bar."""
    slices = [slice(first, first + size) for first in range(0, count, size)]
    return reporter.track(slices, description, len(slices))
