"""From images and questions to what the decoder attends to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.question_batches import question_states
from blipvino.runtime.scheduling.jobs import Source, TextJob


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
        """Give jobs about images that were looked at their sources."""
        for job in jobs:
            if job.question is None:
                embeds = _features(job).image_embeds
                job.source = Source(embeds, np.ones(len(embeds), np.int64))
        asked: dict[int, list[TextJob]] = {}  # long questions do not have short ones padded
        for job in jobs:
            if job.question is not None:
                length = self._extractor.engine.source_positions(len(job.question))
                asked.setdefault(length, []).append(job)
        for those in asked.values():
            self._ask(those)

    def _ask(self, jobs: Sequence[TextJob]) -> None:
        questions = [list(job.question or ()) for job in jobs]
        tokens = self._texts.batch(questions)
        with self._extractor.engine.lock:
            states = question_states(self._extractor, [_features(job) for job in jobs], tokens)
        for job, question, row, mask in zip(jobs, questions, states, tokens.attention_mask, strict=True):
            job.source = Source(row[: len(question)], mask[: len(question)])


def _features(job: TextJob) -> ImageFeatures:
    assert job.image.features is not None
    return job.image.features
