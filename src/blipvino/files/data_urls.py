"""Pictures inside a page: an HTML file that has them in itself loads nothing."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image


def jpeg_url(image: Image.Image, largest: tuple[int, int], quality: int) -> str:
    """A picture as the ``src`` of an image element.

    Args:
        image: in any mode.
        largest: width and height in pixels; a larger picture becomes smaller, in its proportions.
        quality: of the JPEG, to 95.
    """
    buffer = BytesIO()
    shown = image.convert("RGB")
    shown.thumbnail(largest)
    shown.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
