"""Images in any common form to the pixels that `vision` reads, as upstream's ``BlipImageProcessor`` makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from blipvino.errors import BundleError, ImageError

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
        if not path.is_file():
            raise ImageError(f"{path}: no such image file")
        return _open(path, str(path))
    raise ImageError(f"expected a PIL image, path, bytes or uint8 array, found {type(source).__name__}")


def _open(file: Path | BytesIO, name: str) -> Image.Image:
    try:
        with Image.open(file) as image:
            return _decode(image, name)
    except (OSError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: cannot be read as an image ({error})") from error


def _decode(image: Image.Image, name: str) -> Image.Image:
    try:
        return _to_rgb(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow's decoders raise on damaged data
        raise ImageError(f"{name}: cannot be decoded ({error})") from error


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise ImageError(f"expected a uint8 array [H, W] or [H, W, 1 | 3 | 4], found {array.dtype} {list(array.shape)}")
    return Image.fromarray(array[..., 0] if channels == 1 and array.ndim == 3 else array)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


@dataclass(frozen=True)
class ImageProcessor:
    """Resizing and normalisation as ``preprocessor_config.json`` says.

    Attributes:
        size: side of the square that `vision` reads, in pixels.
        resample: Pillow's number of the resampling filter (3: bicubic).
        mean: per channel, for pixels in 0..1.
        std: per channel, for pixels in 0..1.
        rescale_factor: from uint8 pixels to 0..1.
    """

    size: int
    resample: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rescale_factor: float = 1 / 255

    @classmethod
    def from_config(cls, config: Mapping[str, Any], image_size: int) -> ImageProcessor:
        """Read a parsed ``preprocessor_config.json``; missing values take ``BlipImageProcessor``'s defaults.

        Raises:
            BundleError: its size is not the square that the vision model expects.
        """
        size = config.get("size", {"height": image_size, "width": image_size})
        sides = (size, size) if isinstance(size, int) else (size.get("height"), size.get("width"))
        if sides != (image_size, image_size):
            raise BundleError(f"preprocessor_config.json: size {size}, but the vision model reads {image_size} pixels")
        mean = tuple(config.get("image_mean", (0.48145466, 0.4578275, 0.40821073)))
        std = tuple(config.get("image_std", (0.26862954, 0.26130258, 0.27577711)))
        return cls(image_size, int(config.get("resample", 3)), mean, std, config.get("rescale_factor", 1 / 255))

    def pixels(self, images: Sequence[ImageSource]) -> npt.NDArray[np.uint8]:
        """Load and resize images: uint8 ``[B, size, size, 3]`` RGB, what `vision` takes."""
        resample = Image.Resampling(self.resample)
        resized = [load_image(image).resize((self.size, self.size), resample) for image in images]
        return np.stack([np.asarray(image) for image in resized])

    def pixel_values(self, images: Sequence[ImageSource]) -> npt.NDArray[np.float32]:
        """The same images as ``BlipImageProcessor`` returns them: float32 ``[B, 3, size, size]``, normalised.

        The runtime does not need this (`vision` normalises by itself); baselines and other runtimes do. The order of
        roundings is upstream's: rescale in float64, round to float32, subtract, divide.
        """
        rescaled = (self.pixels(images).astype(np.float64) * self.rescale_factor).astype(np.float32)
        normal = (rescaled - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))
