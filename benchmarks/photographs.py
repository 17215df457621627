"""The photographs that scikit-image and scikit-learn ship: what there is of them where nothing can be downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_image

HALVES = (
    ("astronaut.png", "china.jpg", "coins.png", "motorcycle_left.png", "page.png"),
    ("camera.png", "chelsea.png", "coffee.png", "flower.jpg", "rocket.jpg"),
)
"""Two halves with about as much of people, things, outdoors, night and grey in each."""
_OF_SCIKIT_LEARN = ("china.jpg", "flower.jpg")


def photograph(name: str) -> Image.Image:
    """One of them, RGB."""
    if name in _OF_SCIKIT_LEARN:
        return Image.fromarray(load_sample_image(name))
    with Image.open(Path(skimage.data.__file__).parent / name) as image:
        return image.convert("RGB")


def write_wholes(folder: Path, names: Sequence[str]) -> Path:
    """Write photographs as they are; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = (folder / name).with_suffix(".png")
        if not path.exists():
            photograph(name).save(path)
    return folder


def write_crops(folder: Path, names: Sequence[str], count: int) -> Path:
    """Write so many square crops, of half the smaller side or more, of photographs that take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        image = photograph(names[number % len(names)])
        smaller = min(image.size)
        side = int(rng.integers(smaller // 2, smaller + 1))
        left, top = (int(rng.integers(length - side + 1)) for length in image.size)
        image.crop((left, top, left + side, top + side)).save(folder / f"{number:03}.png")
    return folder
