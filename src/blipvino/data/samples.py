"""Samples (an image, its questions, its captions), the protocol of their sources, and taking a few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image

from blipvino.errors import DataError, ImageError

DEFAULT_SAMPLES = 300
DEFAULT_SEED = 42

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A question about an image, in VQAv2's terms.

    Attributes:
        text: The question as it was asked.
        question_id: Unique within its source.
        answers: The annotators' answers (ten in VQAv2); empty where they are not known, as in a test split.
        question_type: What VQAv2 groups questions by ("what color is the"); empty if unknown.
        answer_type: "yes/no", "number" or "other"; empty if unknown.
    """

    text: str
    question_id: int
    answers: tuple[str, ...] = ()
    question_type: str = ""
    answer_type: str = ""


@dataclass(frozen=True)
class Sample:
    """One image with its questions and captions, either of which may be empty. The image is decoded when asked for.

    Attributes:
        image_id: Unique within its source.
        load: Decodes the image.
        questions: About it.
        captions: Of it.
        file: The name of its file, for people; empty where it has none.
    """

    image_id: int | str
    load: Callable[[], Image.Image]
    questions: tuple[Question, ...] = ()
    captions: tuple[str, ...] = ()
    file: str = ""

    def image(self) -> Image.Image:
        """Decode the image, anew at each call, in the mode of its file (not necessarily RGB).

        Raises:
            ImageError: The image cannot be read or decoded.
        """
        try:
            return self.load()
        # What Pillow raises for files it cannot decode; SyntaxError is its word for a broken PNG.
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ImageError(f"image {self.image_id}: cannot be decoded ({error}); replace or remove it") from error


class SampleSource(Protocol):
    """Where samples come from."""

    @property
    def name(self) -> str:
        """A short description for a bundle's manifest, such as ``vqav2:questions.json``."""
        ...

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield the source's samples in an order that ``seed`` decides, each image once with its questions.

        Args:
            seed: The same seed gives the same samples in the same order.
            limit: Items (see `count_items`) that the caller will use at most. A source that must read ahead to group
                an image's questions stops reading there; any other source may ignore it and yield more.

        Raises:
            DataError: The source cannot be read or understood.
        """
        ...


def count_items(samples: Iterable[Sample]) -> int:
    """Number of items: one for each (image, question) pair, and one for each image without questions."""
    return sum(_items(sample) for sample in samples)


def take(
    source: SampleSource, count: int = DEFAULT_SAMPLES, seed: int = DEFAULT_SEED, *, spread: bool = False
) -> list[Sample]:
    """The first ``count`` items of a source's seeded shuffle, counted as `count_items` does.

    The last image's questions are cut to fit. The result holds fewer items only where the source itself does.

    Args:
        source: Where the samples come from.
        count: How many items.
        seed: Of the shuffle, 0 or more.
        spread: Take one question of each of ``count`` images, and second ones only where there are not so many images.

    Raises:
        DataError: ``count`` or ``seed`` is out of range, or the source is empty or cannot be read.
    """
    if count < 1:
        raise DataError(f"cannot take {count} samples: ask for 1 or more")
    if seed < 0:
        raise DataError(f"cannot shuffle by seed {seed}: give 0 or more")
    samples = source.samples(seed, count)
    taken = _spread(list(islice(samples, count)), count) if spread else list(_first(samples, count))
    if not taken:
        raise DataError(f"{source.name}: no samples in it; expected at least one image")
    return taken


def _first(samples: Iterable[Sample], count: int) -> Iterator[Sample]:
    missing = count
    for sample in samples:
        kept = replace(sample, questions=sample.questions[:missing])
        yield kept
        missing -= _items(kept)
        if missing == 0:
            return


def _spread(samples: list[Sample], count: int) -> list[Sample]:
    """``count`` items over as many of the images as there are, by raising the number of questions an image keeps."""
    most = 1
    while True:
        kept = [replace(sample, questions=sample.questions[:most]) for sample in samples]
        if count_items(kept) >= count or kept == samples:
            return list(_first(kept, count))
        most += 1


def shuffled(items: Sequence[T], seed: int) -> Iterator[T]:
    """Yield the items in an order decided by ``seed`` and their number."""
    for index in np.random.default_rng(seed).permutation(len(items)):
        yield items[index]


def _items(sample: Sample) -> int:
    return max(1, len(sample.questions))
