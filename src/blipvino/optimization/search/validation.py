"""How good a recipe's texts are: its answers beside the annotators' and the original's, on samples set apart."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.bundle.search_record import Score
from blipvino.data import Sample, SampleSource, count_items
from blipvino.errors import DataError
from blipvino.metrics.bootstrap import estimate, resampled_sums
from blipvino.metrics.vqa import vqa_accuracy
from blipvino.progress import Reporter
from blipvino.recipe import Treatment
from blipvino.runtime.blip import Blip
from blipvino.runtime.features import ImageFeatures

KEPT_EMBEDS_BYTES = 2**30
"""Image embeddings that are kept between trials: 600 images of BLIP-base."""

Texts = list[list[str]]
"""Of each image: an answer to each of its questions, or its caption."""


@dataclass(frozen=True)
class HeldOutSource:
    """A source without the samples that calibration sees.

    Attributes:
        source: the whole.
        seen: what calibration sees of it.
    """

    source: SampleSource
    seen: tuple[Sample, ...]

    @property
    def name(self) -> str:
        """As the whole."""
        return self.source.name

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield the other samples. See `SampleSource.samples`."""
        seen = {sample.image_id for sample in self.seen}
        for sample in self.source.samples(seed, limit + count_items(self.seen)):
            if sample.image_id not in seen:
                yield sample


class Validation:
    """Scores models of one checkpoint on samples.

    Answers count by VQA accuracy where the samples have answers. Otherwise texts count by their agreement with the
    original's, which is itself at 100: answers, or captions where there are no questions or the model answers none.

    Args:
        samples: each image once.
        original: the uncompressed model, in float32.
        seed: of the intervals' draws.
        reporter: shows how far it is.

    Raises:
        ImageError: an image cannot be read.
        DataError: there are no samples.
    """

    def __init__(self, samples: Sequence[Sample], original: Blip, seed: int, reporter: Reporter) -> None:
        self._seed, self._reporter = seed, reporter
        self._embeds: OrderedDict[Treatment, list[FloatArray]] = OrderedDict()
        answers = original.config.answers_questions and any(sample.questions for sample in samples)
        known = answers and any(question.answers for sample in samples for question in sample.questions)
        self._questions = [
            [question for question in sample.questions if question.answers or not known] if answers else []
            for sample in samples
        ]
        kept = [number for number, asked in enumerate(self._questions) if asked or not answers]
        if not kept:
            raise DataError("no validation samples; give another source, or calibrate on fewer of its samples")
        self._questions = [self._questions[number] for number in kept]
        self._pixels = [original.images.pixels([samples[number].image()])[0] for number in kept]
        self.images = len(kept)
        self.texts = sum(max(1, len(asked)) for asked in self._questions)
        self.measure = "VQA accuracy" if known else f"agreement of {'answers' if answers else 'captions'}"
        self._originals = self._texts(original, self._encoded(original))
        self._reference = self._scores(self._originals)

    def score(self, blip: Blip, vision: Treatment) -> Score:
        """Score a model.

        Args:
            blip: the model.
            vision: what was done to its `vision`: what models with the same one see is computed once.
        """
        scores = self._scores(self._texts(blip, self._image_embeds(blip, vision)))
        rows = zip(self._reference, scores, strict=True)
        statistics = np.array([(sum(before), sum(after), len(after)) for before, after in rows])
        drop = estimate(
            lambda sums: 100 * (sums[..., 0] - sums[..., 1]) / sums[..., 2],
            statistics,
            resampled_sums(statistics, self._seed),
        )
        accuracy = 100 * statistics[:, 1].sum() / statistics[:, 2].sum()
        return Score(float(accuracy), drop.value, drop.low, drop.high)

    def _image_embeds(self, blip: Blip, vision: Treatment) -> Sequence[FloatArray]:
        if vision in self._embeds:
            self._embeds.move_to_end(vision)
            return self._embeds[vision]
        looked = self._encoded(blip)
        self._embeds[vision] = looked
        while sum(embeds.nbytes for kept in self._embeds.values() for embeds in kept) > KEPT_EMBEDS_BYTES:
            self._embeds.popitem(last=False)
        return looked

    def _encoded(self, blip: Blip) -> list[FloatArray]:
        images = self._reporter.track(self._pixels, "Looking", self.images)
        return [blip.engine.image_embeds(pixels[None])[0] for pixels in images]

    def _texts(self, blip: Blip, embeds: Sequence[FloatArray]) -> Texts:
        texts = []
        for number in self._reporter.track(range(self.images), "Answering", self.images):
            # Made anew for each: they grow when they are asked about, and are not to be kept.
            features = ImageFeatures(embeds[number], blip.bundle.fingerprint)
            asked = [question.text for question in self._questions[number]]
            texts.append(list(blip.answer(features, asked)) if asked else [blip.caption(features)])
        return texts

    def _scores(self, texts: Texts) -> list[list[float]]:
        return [
            [
                vqa_accuracy(text, asked[place].answers)
                if asked and asked[place].answers
                else agreement(text, originals[place])
                for place, text in enumerate(row)
            ]
            for row, asked, originals in zip(texts, self._questions, self._originals, strict=True)
        ]


def agreement(text: str, original: str) -> float:
    """The share of words that two texts have in common, in the same order, from 0 to 1: ``2 * common / all``."""
    return SequenceMatcher(None, text.split(), original.split(), autojunk=False).ratio()
