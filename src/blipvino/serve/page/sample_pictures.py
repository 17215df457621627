"""Pictures of the shapes world for who has none at hand."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from blipvino.demo.scenes import render, sample_scene

SAMPLES = 8


def sample_picture(number: int) -> bytes:
    """A picture that the demo's model was not trained on, as a PNG file of 96 by 96 pixels.

    Args:
        number: from 0 to below `SAMPLES`; the same number is the same picture.
    """
    buffer = BytesIO()
    Image.fromarray(render(sample_scene("test", number))).save(buffer, "PNG")
    return buffer.getvalue()
