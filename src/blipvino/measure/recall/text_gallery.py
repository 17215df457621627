"""The images and texts that a retrieval model is to find for one another, and claims to judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from blipvino.arrays import IntArray
from blipvino.data import Sample, SampleSource
from blipvino.data.claims import Claim, ClaimSource, claims_of_captions
from blipvino.errors import DataError


@dataclass(frozen=True)
class TextGallery:
    """What is looked through.

    Attributes:
        samples: the images; their captions are the texts that are looked for.
        claims: about each image.
    """

    samples: tuple[Sample, ...]
    claims: tuple[tuple[Claim, ...], ...]

    @property
    def texts(self) -> list[str]:
        """All captions, image by image."""
        return [text for sample in self.samples for text in sample.captions]

    @property
    def owners(self) -> IntArray:
        """The image of each text, int64 ``[T]``."""
        return np.array([place for place, sample in enumerate(self.samples) for _ in sample.captions], np.int64)


def choose_gallery(source: SampleSource, images: int, texts: int, seed: int) -> TextGallery:
    """The first images of a source's seeded shuffle that have captions which no other image before them has.

    Of two pictures with one caption neither is the right one.

    Args:
        source: where the samples come from.
        images: how many.
        texts: captions of each image at the most.
        seed: of the shuffle, and of claims that are drawn.

    Raises:
        DataError: the source cannot be read, or has fewer than two images with captions.
    """
    samples = tuple(_distinct(source.samples(seed, images), images, texts))
    if len(samples) < 2:
        raise DataError(
            f"{source.name}: {len(samples)} images with captions of their own in it, expected 2 or more to find one "
            "among; choose a source with captions, such as coco:CAPTIONS.json,IMAGES_DIR"
        )
    if isinstance(source, ClaimSource):
        return TextGallery(samples, tuple(source.claims(sample) for sample in samples))
    return TextGallery(samples, tuple(claims_of_captions(samples, seed)))


def _distinct(samples: Iterator[Sample], images: int, texts: int) -> Iterator[Sample]:
    known: set[str] = set()
    for sample in samples:
        captions = tuple({text.strip().lower(): text for text in sample.captions if text.strip()}.values())[:texts]
        keys = {text.strip().lower() for text in captions}
        if not keys or keys & known:
            continue
        known |= keys
        yield replace(sample, captions=captions)
        images -= 1
        if not images:
            return
