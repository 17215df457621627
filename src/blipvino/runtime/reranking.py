"""Best-of-N: several captions are drawn of an image, and the one that fits it best is taken.

What fits is told by another model, which looks at image and text together: `BlipRetriever.match`. BLIP itself filters
captions so when it makes its training data (Li et al., "BLIP: Bootstrapping Language-Image Pre-training for Unified
Vision-Language Understanding and Generation", 2022, section 3.3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.checks import integer
from blipvino.errors import InputError
from blipvino.runtime.arriving import arrival_of
from blipvino.runtime.blip import Blip
from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.runtime.pairing import Image, streamed_images
from blipvino.runtime.results import checked_confidence

DEFAULT_BEST_OF = 8


class Matcher(Protocol):
    """What tells how well texts fit an image, as `BlipRetriever` does."""

    def match(self, images: Any, texts: Sequence[str], /) -> FloatArray:
        """The probability that each of several texts fits one image, float32 ``[T]``."""
        ...


@dataclass(frozen=True)
class BestCaption:
    """The caption that fits its image best, and those that it was chosen from.

    Attributes:
        best: the caption; of several that fit as well, the likeliest.
        match: how probable it is that it fits the image.
        candidates: all different captions that were drawn, ``best`` among them.
        matches: of each.
    """

    best: Generated
    match: float
    candidates: tuple[Generated, ...]
    matches: tuple[float, ...]


def best_captions(
    blip: Blip,
    matcher: Matcher,
    images: Iterable[Image],
    *,
    best_of: int = DEFAULT_BEST_OF,
    prompt: str | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    min_confidence: float | None = None,
    **options: Any,
) -> Iterator[BestCaption]:
    """The best of several captions of each of any number of images, one by one and in order, as they are ready.

    Args:
        blip: draws the captions.
        matcher: judges them; it reads the images too.
        images: in any form but `ImageFeatures`, which are one model's alone.
        best_of: captions to draw of each.
        prompt: text that every caption continues.
        batch_size: images that are looked at together.
        min_confidence: a best caption that is less likely right is blank.
        **options: `GenerationOptions`; sampling is on. With ``seed``, an image's captions depend on its place alone.

    Raises:
        ImageError: an image cannot be read; raised when its turn comes.
        InputError: an argument is not allowed.
    """
    count, least = integer("best_of", best_of, 1), checked_confidence(min_confidence)
    options = {"do_sample": True, **options}
    if not options["do_sample"]:
        raise InputError("do_sample is False, expected True: of an image there is but one likeliest caption to choose")
    blip.components.request(prompt, count, False, options)  # what is not allowed is refused now
    read: deque[Image] = deque()
    features = blip.feature_stream(_Noted(streamed_images(images), read), batch_size=batch_size)
    return _best_captions(blip, matcher, features, read, count, prompt, least, options)


class _Noted(Iterator[Image]):
    """The images, each kept for the matcher as it is read.

    Args:
        images: that may know whether the next has arrived.
        read: where they are kept.
    """

    def __init__(self, images: Iterator[Image], read: deque[Image]) -> None:
        self.has_arrived = arrival_of(images)
        self._images = images
        self._read = read

    def __next__(self) -> Image:
        """The next.

        Raises:
            InputError: it is no image but features.
        """
        image = next(self._images)
        if isinstance(image, ImageFeatures):
            raise InputError("ImageFeatures are one model's alone, and two look here: give the image itself")
        self._read.append(image)
        return image


def _best_captions(
    blip: Blip,
    matcher: Matcher,
    features: Iterator[list[ImageFeatures]],
    read: deque[Image],
    count: int,
    prompt: str | None,
    least: float,
    options: dict[str, Any],
) -> Iterator[BestCaption]:
    seeds = np.random.SeedSequence(options.get("seed"))
    for batch in features:
        for looked in batch:
            drawing = {**options, "seed": int(seeds.spawn(1)[0].generate_state(1, np.uint64)[0])}
            drawn = blip.caption([looked] * count, prompt, batch_size=count, return_scores=True, **drawing)
            yield _chosen(drawn, matcher, read.popleft(), least)


def _chosen(drawn: Sequence[Generated], matcher: Matcher, image: Image, least: float) -> BestCaption:
    candidates = tuple({made.text: made for made in drawn}.values())
    texts = [made.text for made in candidates if made.text]
    judged = iter(matcher.match(image, texts)) if texts else iter(())
    matches = tuple(float(next(judged)) if made.text else 0.0 for made in candidates)  # nothing fits no image
    place = max(range(len(candidates)), key=lambda place: (matches[place], candidates[place].logprob))
    best = candidates[place]
    if best.confidence < least:
        best = replace(best, text="", withheld=True)
    return BestCaption(best, matches[place], candidates, matches)
