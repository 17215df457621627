"""From images and questions to what the decoder attends to."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from blipvino.arrays import IntArray
from blipvino.errors import BlipvinoError
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.scheduling.jobs import SharedImage, Source, TextJob


class JobEncoder:
    """Finds the sources of jobs; one thread's alone.

    Args:
        extractor: images to features; it brings the engine.
        texts: that pad questions.
        window: images that are looked at together.
    """

    def __init__(self, extractor: FeatureExtractor, texts: TextProcessor, window: int = 1) -> None:
        self.window = window
        self._extractor = extractor
        self._texts = texts

    def encode(self, jobs: Sequence[TextJob]) -> None:
        """Give jobs their sources. What goes wrong with one is its result.

        Args:
            jobs: whose images are looked at together.
        """
        self._look({id(job.image): job.image for job in jobs}.values())
        for job in jobs:
            try:
                job.source = self._source(job)
            except (BlipvinoError, RuntimeError) as error:  # the latter OpenVINO's
                job.fail(error)

    def _look(self, images: Collection[SharedImage]) -> None:
        unknown = [(image, image.pixels) for image in images if image.pixels is not None]
        if unknown:
            made = self._extractor.encode([pixels for _, pixels in unknown])
            for (image, _), features in zip(unknown, made, strict=True):
                image.seen = features

    def _source(self, job: TextJob) -> Source:
        features = job.image.features
        assert features is not None
        if job.question is None:
            embeds = features.image_embeds
            return Source(embeds, np.ones(len(embeds), np.int64))
        return self._asked(features, job.question)

    def _asked(self, features: ImageFeatures, question: Sequence[int]) -> Source:
        tokens = self._texts.batch([list(question)])
        mask: IntArray = tokens.attention_mask
        engine = self._extractor.engine
        with engine.lock:
            states = engine.question_states(tokens.input_ids, mask, self._extractor.question_kv(features))
        return Source(states[0], mask[0])
