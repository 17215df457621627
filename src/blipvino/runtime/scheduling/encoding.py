"""From images and questions to what the decoder attends to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.arrays import IntArray
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.scheduling.jobs import SharedImage, Source, TextJob


class JobEncoder:
    """Finds the sources of jobs: it looks at images in one thread, and reads questions about them in another.

    Args:
        extractor: images to features; it brings the engine.
        texts: that pad questions.
        window: images that are looked at together.
    """

    def __init__(self, extractor: FeatureExtractor, texts: TextProcessor, window: int = 1) -> None:
        self.window = window
        self._extractor = extractor
        self._texts = texts

    def look(self, jobs: Sequence[TextJob]) -> None:
        """Have `vision` look at the images of jobs, together."""
        images = dict.fromkeys(job.image for job in jobs)
        unknown = [(image, image.pixels) for image in images if image.pixels is not None]
        made = self._extractor.encode([pixels for _, pixels in unknown])
        for (image, _), features in zip(unknown, made, strict=True):
            image.seen = features

    def read(self, jobs: Sequence[TextJob]) -> None:
        """Give jobs about one image, which was looked at, their sources."""
        for job, source in zip(jobs, self._sources(jobs[0].image, jobs), strict=True):
            job.source = source

    def _sources(self, image: SharedImage, jobs: Sequence[TextJob]) -> list[Source]:
        """What the texts about one image are decoded of."""
        features = image.features
        assert features is not None
        embeds = features.image_embeds
        questions = [job.question for job in jobs if job.question is not None]
        states = iter(self._asked(features, questions)) if questions else iter(())
        seen = Source(embeds, np.ones(len(embeds), np.int64))
        return [seen if job.question is None else next(states) for job in jobs]

    def _asked(self, features: ImageFeatures, questions: Sequence[Sequence[int]]) -> list[Source]:
        tokens = self._texts.batch([list(question) for question in questions])
        mask: IntArray = tokens.attention_mask
        engine = self._extractor.engine
        with engine.lock:
            states = engine.question_states(tokens.input_ids, mask, self._extractor.question_kv(features))
        lengths = [len(question) for question in questions]
        return [Source(row[:length], ones[:length]) for row, ones, length in zip(states, mask, lengths, strict=True)]
