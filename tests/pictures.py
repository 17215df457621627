"""Pictures of random pixels, and pictures as files."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def noise(width, height, channels=3, seed=0):
    """Random pixels, uint8 ``[H, W, channels]``, or ``[H, W]`` of one channel."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def encoded(image, form, **options):
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(array):
    """An image as the bytes of a file."""
    return encoded(Image.fromarray(array), "PNG")
