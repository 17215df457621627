"""Images that are to be looked at, of which some can be known before: a checkpoint is calibrated on them."""

from __future__ import annotations

from pathlib import Path

from blipvino.cli.arrivals import Peeked
from blipvino.photos.listing import Listed

CALIBRATED_ON = 1000
"""Images that are listed ahead, at most; of them those that quantization sees are drawn."""


class LookedAhead(Peeked[Listed]):
    """The same images in the same order; no more are listed than are asked for."""

    def paths(self) -> list[Path]:
        """The files of the next images, up to `CALIBRATED_ON`; they are listed for it, and still to come."""
        self._look(CALIBRATED_ON)
        return [image.path for image in self._seen if image.error is None]
