"""Images, questions and answers as callers give them, as lists: one or several, and each question with its image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from io import IOBase

import numpy as np

from blipvino.checks import kind_of
from blipvino.errors import InputError
from blipvino.runtime.arriving import arrival_of
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.inputs.images import ImageSource
from blipvino.runtime.inputs.texts import TextProcessor, listed_texts

Image = ImageSource | ImageFeatures
Images = Image | Sequence[Image]

_ONE = str | bytes | bytearray | memoryview | np.ndarray
"""What has a length and items, yet is one image."""


@dataclass(frozen=True)
class QuestionPairs:
    """Questions, each with the image that it is about.

    Attributes:
        images: one a question; the same object where they are about the same image.
        tokens: token ids of each question, not padded.
        several: whether images or questions came as several, so that the result is a list.
    """

    images: list[Image]
    tokens: list[list[int]]
    several: bool


def listed_images(images: Images) -> tuple[bool, list[Image]]:
    """Whether there are several images, and the images as a list.

    Raises:
        InputError: an iterator, or something without an order.
    """
    if _is_iterator(images):
        raise InputError(
            f"images must be one image or a sequence of images, found {kind_of(images)}; give a list of them, "
            "or use caption_stream(), feature_stream() or image_embed_stream()"
        )
    if isinstance(images, Mapping | Set):
        raise InputError(f"images must be one image or a sequence of images, found {kind_of(images)}")
    if isinstance(images, Sequence) and not isinstance(images, _ONE):
        return True, list(images)
    return False, [images]  # anything else is one image; load_image refuses the rest


def streamed_images(images: Iterable[Image]) -> Iterator[Image]:
    """Images one after the other.

    Raises:
        InputError: one image alone, or something without an order.
    """
    one = isinstance(images, str | bytes | bytearray | memoryview)
    one = one or (isinstance(images, np.ndarray) and images.ndim < 4)
    if one or isinstance(images, Mapping | Set) or not isinstance(images, Iterable):
        raise InputError(
            f"images must be an iterable of images, in an order, found {kind_of(images)}; methods that do not end in "
            "_stream take one image"
        )
    return iter(images)


def pair_questions(images: Images, questions: str | Iterable[str], texts: TextProcessor) -> QuestionPairs:
    """An image for every question and a question for every image; any bad question is refused.

    Args:
        images: one image or a sequence.
        questions: one question, asked of every image; or several: all about the one image, or one an image.
        texts: that tokenize them.

    Raises:
        InputError: questions that are no texts, or not as many as images.
    """
    several, sources = listed_images(images)
    listed = [questions] * len(sources) if isinstance(questions, str) else listed_texts("questions", questions)
    if not several:
        sources = sources * len(listed)
    if len(sources) != len(listed):
        raise InputError(f"{len(sources)} images but {len(listed)} questions; give one question each, or just one")
    return QuestionPairs(sources, [texts.question(text) for text in listed], several or not isinstance(questions, str))


class TokenizedPairs(Iterator[tuple[Image, list[int]]]):
    """Images, each with the tokens of a question about it.

    Args:
        pairs: of images and questions; it may know whether the next has arrived.
        texts: that tokenize questions.
    """

    def __init__(self, pairs: Iterator[tuple[Image, str]], texts: TextProcessor) -> None:
        self.has_arrived = arrival_of(pairs)
        self._pairs = pairs
        self._texts = texts

    def __next__(self) -> tuple[Image, list[int]]:
        """The next.

        Raises:
            InputError: it is no pair, or the question is not allowed.
        """
        pair = next(self._pairs)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise InputError(f"expected pairs of an image and a question, found {kind_of(pair)}")
        image, question = pair
        return image, self._texts.question(question)


def paired_features(
    images: Sequence[Image], batches: Iterable[slice], look: Callable[[Sequence[Image]], list[ImageFeatures]]
) -> Iterator[tuple[slice, list[ImageFeatures]]]:
    """Features of the images of batch after batch of questions.

    An image that several questions follow one another about (the same object) is looked at once.

    Args:
        images: one a question.
        batches: the places of each.
        look: images to features.

    Raises:
        ImageError: an image cannot be read; raised at its batch.
        InputError: features that another bundle made.
    """
    known: dict[int, ImageFeatures] = {}
    for batch in batches:
        new = {id(image): image for image in images[batch] if id(image) not in known}
        found = known | dict(zip(new, look(list(new.values())), strict=True))
        known = {id(image): found[id(image)] for image in images[batch]}
        yield batch, [known[id(image)] for image in images[batch]]


def _is_iterator(value: object) -> bool:
    """Whether it gives its items once; an open file does, but what it gives are lines."""
    return isinstance(value, Iterator) and not isinstance(value, IOBase)
