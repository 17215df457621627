"""Looking ahead: while the caller works on one batch of images, the next ones are read, resized and encoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from blipvino.arrays import Pixels
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.images import ImageProcessor, ImageSource

AHEAD = 2
"""Batches that are prepared while one is worked on."""

Seen = ImageFeatures | Pixels


def looked_ahead(
    images: Iterator[ImageSource | ImageFeatures],
    batch_size: int,
    processor: ImageProcessor,
    extractor: FeatureExtractor,
) -> Iterator[list[ImageFeatures]]:
    """Features of batch after batch, in order. What goes wrong with a batch is raised when its turn comes."""

    def read(image: ImageSource | ImageFeatures) -> Seen:
        return image if isinstance(image, ImageFeatures) else processor.pixels([image])[0]

    def look(batch: list[Future[Seen]]) -> list[ImageFeatures]:
        ready = [future.result() for future in batch]
        seen = iter(extractor.look([image for image in ready if not isinstance(image, ImageFeatures)]))
        return extractor.extract([image if isinstance(image, ImageFeatures) else next(seen) for image in ready])

    waiting: deque[Future[list[ImageFeatures]]] = deque()
    reading, looking = ThreadPoolExecutor(), ThreadPoolExecutor(1)
    try:
        for batch in _batches(images, batch_size):
            if isinstance(batch, Exception):
                waiting.append(Future())
                waiting[-1].set_exception(batch)
            else:
                waiting.append(looking.submit(look, [reading.submit(read, image) for image in batch]))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for pool in (reading, looking):
            pool.shutdown(wait=True, cancel_futures=True)


def _batches(
    images: Iterator[ImageSource | ImageFeatures], size: int
) -> Iterator[list[ImageSource | ImageFeatures] | Exception]:
    """Batches, and at last the error, if the iterator ends in one: what came before it counts."""
    try:
        while batch := list(islice(images, size)):
            yield batch
    except Exception as error:  # the iterator's own, whatever it is; it is raised in its turn
        yield error
