"""What the speed benchmark shows its contenders: seeded scenes of the demo world, as large as photographs."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image

from blipvino.data.demo import demo_sample
from blipvino.demo.scenes import render, sample_scene

SIZE = (640, 480)
"""Of an image in pixels: COCO's usual size, so that resizing costs what it does on photographs."""


@lru_cache(maxsize=64)
def picture(number: int) -> Image.Image:
    """The decoded RGB image of this number; the same in every process."""
    scene = render(sample_scene("test", number))
    return Image.fromarray(scene).resize(SIZE, Image.Resampling.BICUBIC)


@lru_cache(maxsize=1024)
def question(number: int) -> str:
    """A question about the image of this number."""
    return demo_sample("test", number).questions[0].text
