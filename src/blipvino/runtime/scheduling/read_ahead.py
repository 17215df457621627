"""Reading and resizing images before their turn, on all cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from blipvino.runtime.arriving import arrival_of
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.pairing import Image
from blipvino.runtime.scheduling.jobs import SharedImage


def read_image(image: Image, extractor: FeatureExtractor) -> SharedImage:
    """An image that several texts may be about, read and resized; or what is known of it.

    Raises:
        ImageError: it cannot be read.
        InputError: features that another bundle made.
    """
    if isinstance(image, ImageFeatures):
        return SharedImage(extractor.extract([image])[0])
    pixels = extractor.images.pixels([image])[0]
    return SharedImage(extractor.recall(pixels) or pixels)


class ImagesAhead(Iterator[SharedImage]):
    """Images as they are asked for, read some ahead; the same object several times in a row is read once.

    Args:
        images: in any form.
        extractor: that reads them.
        ahead: how many.
    """

    def __init__(self, images: Iterator[Image], extractor: FeatureExtractor, ahead: int) -> None:
        self._images = images
        self._arrived = arrival_of(images)
        self._extractor = extractor
        self._ahead = ahead
        self._pool = ThreadPoolExecutor(thread_name_prefix="blipvino-read")
        self._reading: deque[Future[SharedImage]] = deque()
        self._last: tuple[Image, Future[SharedImage]] | None = None
        self._trouble: Exception | None = None
        self._has_ended = False

    def has_arrived(self) -> bool:
        """Whether the next image, or the end, is there; see `Arriving`."""
        return bool(self._reading) or self._has_ended or self._arrived()

    def __next__(self) -> SharedImage:
        """The next image.

        Raises:
            ImageError: it cannot be read.
            InputError: features that another bundle made.
        """
        self._read_on()
        if self._reading:
            return self._reading.popleft().result()
        if self._trouble is not None:
            raise self._trouble
        raise StopIteration

    def close(self) -> None:
        """Read no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read_on(self) -> None:
        while not self._has_ended and len(self._reading) < self._ahead and (not self._reading or self._arrived()):
            try:
                image = next(self._images)
            except StopIteration:
                self._has_ended = True
            except Exception as error:  # the iterator's own, whatever it is; it is raised in its turn
                self._has_ended, self._trouble = True, error
            else:
                self._reading.append(self._read(image))

    def _read(self, image: Image) -> Future[SharedImage]:
        if self._last is None or self._last[0] is not image:
            self._last = image, self._pool.submit(read_image, image, self._extractor)
        return self._last[1]
