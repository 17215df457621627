"""Images in any common form to the pixels that `vision` reads, as upstream's ``BlipImageProcessor`` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from blipvino.config import RESCALE_FACTOR, PreprocessorConfig
from blipvino.errors import ImageError

ImageSource = Image.Image | str | Path | bytes | npt.NDArray[Any]
"""A PIL image, a path, the bytes of an image file, or a uint8 array ``[H, W]`` or ``[H, W, 1 | 3 | 4]``."""


def load_image(source: ImageSource) -> Image.Image:
    """Decode an image to upright RGB.

    EXIF rotation is applied, transparency is composited onto white (as upstream's ``convert_to_rgb`` does), sixteen-bit
    greyscale keeps its upper eight bits, and of an animation the first frame is taken.

    Raises:
        ImageError: the file is missing or is no image, or the array has another shape or type.
    """
    if isinstance(source, np.ndarray):
        return _to_rgb(_from_array(source))
    if isinstance(source, Image.Image):
        return _decode(source, "the given PIL image")
    if isinstance(source, bytes):
        return _open(BytesIO(source), f"the given {len(source)} bytes")
    if isinstance(source, str | Path):
        path = Path(source)
        if not _is_file(path):
            raise ImageError(f"{path}: no such image file")
        return _open(path, str(path))
    raise ImageError(f"expected a PIL image, path, bytes or uint8 array, found {type(source).__name__}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def _open(file: Path | BytesIO, name: str) -> Image.Image:
    try:
        with Image.open(file) as image:
            return _decode(image, name)
    except ImageError:
        raise
    except Exception as error:  # on damaged data Pillow's readers raise whatever trips them, not OSError alone
        raise ImageError(f"{name}: cannot be read as an image ({error})") from error


def _decode(image: Image.Image, name: str) -> Image.Image:
    if 0 in image.size:
        raise ImageError(f"{name}: has no pixels ({image.width} x {image.height})")
    try:
        return _to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # as in `_open`
        raise ImageError(f"{name}: cannot be decoded ({error})") from error


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise ImageError(f"expected a uint8 array [H, W] or [H, W, 1 | 3 | 4], found {array.dtype} {list(array.shape)}")
    return Image.fromarray(array[..., 0] if channels == 1 and array.ndim == 3 else array)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = Image.fromarray(_eight_bits(np.asarray(image), sixteen=image.mode.startswith("I;16")))
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _eight_bits(values: npt.NDArray[Any], *, sixteen: bool) -> npt.NDArray[np.uint8]:
    """Integer greyscale to 0..255; of 32-bit values the largest tells whether they are 16-bit ones."""
    scaled = values.astype(np.int64) >> 8 if sixteen or values.max() > 255 else values
    return scaled.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class ImageProcessor:
    """Resizing and normalisation as ``preprocessor_config.json`` says."""

    config: PreprocessorConfig

    def pixels(self, images: Sequence[ImageSource]) -> npt.NDArray[np.uint8]:
        """Load and resize images: uint8 ``[B, size, size, 3]`` RGB, what `vision` takes."""
        if len(images) == 1:
            return self._resized(images[0])[None]
        with ThreadPoolExecutor() as pool:  # Pillow works without Python's lock
            return np.stack(list(pool.map(self._resized, images)))

    def _resized(self, image: ImageSource) -> npt.NDArray[np.uint8]:
        size, resample = self.config.size, Image.Resampling(self.config.resample)
        return np.asarray(load_image(image).resize((size, size), resample))

    def pixel_values(self, images: Sequence[ImageSource]) -> npt.NDArray[np.float32]:
        """The same images as ``BlipImageProcessor`` returns them: float32 ``[B, 3, size, size]``, normalised.

        The runtime does not need this (`vision` normalises by itself); baselines and other runtimes do. The order of
        roundings is upstream's: rescale in float64, round to float32, subtract, divide.
        """
        rescaled = (self.pixels(images).astype(np.float64) * RESCALE_FACTOR).astype(np.float32)
        mean, std = (np.array(values, np.float32) for values in (self.config.image_mean, self.config.image_std))
        normal = (rescaled - mean) / std
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))
