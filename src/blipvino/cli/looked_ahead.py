"""Images that are to be looked at, of which some can be known before: a checkpoint is calibrated on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from blipvino.photos.listing import Listed

CALIBRATED_ON = 1000
"""Images that are listed ahead, at most; of them those that quantization sees are drawn."""


class LookedAhead(Iterator[Listed]):
    """The same images in the same order.

    Args:
        images: that are listed; no more than are asked for.
    """

    def __init__(self, images: Iterator[Listed]) -> None:
        self._images = images
        self._known: deque[Listed] = deque()

    def __next__(self) -> Listed:
        return self._known.popleft() if self._known else next(self._images)

    def has_arrived(self) -> bool:
        """Whether the next one, or the end, is there."""
        return bool(self._known) or bool(getattr(self._images, "has_arrived", lambda: True)())

    def paths(self) -> list[Path]:
        """The files of the next images, up to `CALIBRATED_ON`; they are listed for it, and still to come."""
        self._known.extend(islice(self._images, CALIBRATED_ON - len(self._known)))
        return [image.path for image in self._known if image.error is None]
