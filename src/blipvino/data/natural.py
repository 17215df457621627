"""Generated pictures with the statistics of photographs as a sample source: no download, and nobody's photographs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from PIL import Image

from blipvino.data.natural_pictures import natural_picture
from blipvino.data.question_bank import bank_questions
from blipvino.data.samples import Sample, shuffled

PICTURES = 10_000
"""Pictures that the source shuffles; there is no end to them."""
QUESTIONS_PER_PICTURE = 8
"""One of each kind that the bank has."""


@dataclass(frozen=True)
class NaturalSource:
    """The first `PICTURES` generated pictures, with questions that could be asked of photographs.

    The questions have no answers: the pictures show nothing. They are for calibration, and for comparing a compressed
    model with its original.
    """

    @property
    def name(self) -> str:
        """``natural``."""
        return "natural"

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield one sample a picture. See `SampleSource.samples`."""
        for number in shuffled(range(PICTURES), seed):
            yield Sample(number, partial(_picture, number), bank_questions(number, QUESTIONS_PER_PICTURE))


def _picture(number: int) -> Image.Image:
    return Image.fromarray(natural_picture(number))
