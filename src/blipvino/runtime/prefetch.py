"""Prefetching: while the caller works on one batch of images, the next ones are read, resized and encoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from blipvino.arrays import Pixels
from blipvino.runtime.arriving import arrival_of
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.images import ImageSource

PREFETCHED_BATCHES = 2
"""Batches that are prepared while one is worked on."""

Loaded = ImageFeatures | Pixels


def prefetched_features(
    images: Iterator[ImageSource | ImageFeatures], batch_size: int, extractor: FeatureExtractor
) -> Generator[list[ImageFeatures]]:
    """Features of batch after batch, in order. What goes wrong with a batch is raised when its turn comes.

    Args:
        images: in any form. What has arrived of those that are `Arriving` is looked at while the rest is waited for, in
            a batch that may be smaller.
        batch_size: images that are looked at together, at most.
        extractor: looks at them.
    """
    has_arrived = arrival_of(images)

    def load(image: ImageSource | ImageFeatures) -> Loaded:
        return image if isinstance(image, ImageFeatures) else extractor.images.pixels([image])[0]

    def encode(batch: list[Future[Loaded]]) -> list[ImageFeatures]:
        loaded = [future.result() for future in batch]
        encoded = iter(extractor.encode([image for image in loaded if not isinstance(image, ImageFeatures)]))
        return extractor.extract([image if isinstance(image, ImageFeatures) else next(encoded) for image in loaded])

    waiting: deque[Future[list[ImageFeatures]]] = deque()
    loading, encoding = ThreadPoolExecutor(), ThreadPoolExecutor(1)
    try:
        for batch in _batches(images, batch_size, has_arrived):
            if isinstance(batch, Exception):
                waiting.append(Future())
                waiting[-1].set_exception(batch)
            else:
                waiting.append(encoding.submit(encode, [loading.submit(load, image) for image in batch]))
            while len(waiting) > PREFETCHED_BATCHES or (waiting and not has_arrived()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for pool in (loading, encoding):
            pool.shutdown(wait=True, cancel_futures=True)


def _batches(
    images: Iterator[ImageSource | ImageFeatures], size: int, has_arrived: Callable[[], bool]
) -> Iterator[list[ImageSource | ImageFeatures] | Exception]:
    """Batches, and at last the error, if the iterator ends in one: what came before it counts."""
    batch: list[ImageSource | ImageFeatures] = []
    trouble: Exception | None = None
    try:
        for image in images:
            batch.append(image)
            if len(batch) == size or not has_arrived():
                yield batch
                batch = []
    except Exception as error:  # the iterator's own, whatever it is; it is raised in its turn
        trouble = error
    if batch:
        yield batch
    if trouble is not None:
        yield trouble
