"""Images in any common form to the pixels that `vision` reads, as upstream's ``BlipImageProcessor`` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from blipvino.arrays import AnyArray, FloatArray, Pixels
from blipvino.checkpoint.config import RESCALE_FACTOR, PreprocessorConfig
from blipvino.errors import ImageError
from blipvino.files.image_files import ANY_IMAGE, ImageLimits, check_size, open_image

ImageSource = Image.Image | str | Path | bytes | AnyArray
"""A PIL image, a path, the bytes of an image file, or a uint8 array ``[H, W]`` or ``[H, W, 1 | 3 | 4]``."""


DRAFT_PIXELS = 2**25
"""Of a JPEG of more pixels, fewer are decoded, where `load_image` is told how many are needed. Photos of usual cameras
have fewer: their pixels are upstream's, bit for bit."""
LEAST_SCALE = 4
"""How many times the model's size a reduced JPEG has at least: the resized pixels then differ by a grey level at most,
by a tenth of one on average (measured on a photo-like image of 96 megapixels)."""
_BAND_PIXELS = 2**21
"""Images are converted to RGB by bands of so many pixels, so that a huge one is not held several times."""
_ROTATED = range(2, 9)
"""EXIF orientations other than upright."""


def load_image(source: ImageSource, *, least: int | None = None, limits: ImageLimits = ANY_IMAGE) -> Image.Image:
    """Decode an image to upright RGB.

    EXIF rotation is applied, transparency is composited onto white (as upstream's ``convert_to_rgb`` does), sixteen-bit
    greyscale keeps its upper eight bits, and of an animation the first frame is taken.

    Args:
        source: the image in any form.
        least: pixels of each side that will do: a JPEG of more than `DRAFT_PIXELS` is decoded at a half, a quarter or
            an eighth of its size where that leaves so many. By default all of it is decoded.
        limits: of what is taken.

    Returns:
        A PIL image; the given one itself, where that is upright RGB.

    Raises:
        ImageError: the file is missing or is no image, is too large, or the array has another shape or type.
    """
    if isinstance(source, np.ndarray):
        return _decode(_from_array(source), "the given array", limits)
    if isinstance(source, Image.Image):
        return _decode(source, "the given PIL image", limits)
    if isinstance(source, bytes):
        return _open(source, f"the given {len(source)} bytes", least, limits)
    if isinstance(source, str | Path):
        if not str(source):
            raise ImageError("'': no such image file")
        return _open(Path(source), str(source), least, limits)
    raise ImageError(f"expected a PIL image, path, bytes or uint8 array, found {type(source).__name__}")


def _open(file: Path | bytes, name: str, least: int | None, limits: ImageLimits) -> Image.Image:
    with open_image(file, name, limits) as image:
        if least is not None and image.width * image.height > DRAFT_PIXELS and min(image.size) >= 2 * least:
            image.draft(image.mode, (least, least))
        return _decode(image, name, limits)


def _decode(image: Image.Image, name: str, limits: ImageLimits) -> Image.Image:
    check_size(image, name, limits)
    try:
        return _to_rgb(_upright(image))
    except Exception as error:  # as in `open_image`
        raise ImageError(f"{name}: cannot be decoded ({error})") from error


def _upright(image: Image.Image) -> Image.Image:
    image.load()  # a PNG's EXIF may come after its pixels
    rotated = image.getexif().get(ExifTags.Base.Orientation, 1) in _ROTATED
    return ImageOps.exif_transpose(image) if rotated else image


def _from_array(array: AnyArray) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise ImageError(f"expected a uint8 array [H, W] or [H, W, 1 | 3 | 4], found {array.dtype} {list(array.shape)}")
    return Image.fromarray(array[..., 0] if channels == 1 and array.ndim == 3 else array)


def _to_rgb(image: Image.Image) -> Image.Image:
    transparent = "A" in image.getbands() or image.info.get("transparency") is not None
    if image.mode == "RGB" and not transparent:
        return image
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image), sixteen=image.mode.startswith("I;16"))).convert("RGB")
    flatten = _on_white if transparent else _plain
    rows = max(1, _BAND_PIXELS // image.width)
    if image.height <= rows:
        return flatten(image)
    flat = Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        flat.paste(flatten(band), (0, top))
    return flat


def _plain(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")


def _eight_bits(values: AnyArray, *, sixteen: bool) -> Pixels:
    """Integer greyscale to 0..255; of 32-bit values the largest tells whether they are 16-bit ones."""
    scaled = values >> 8 if sixteen or values.max() > 255 else values
    return scaled.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class ImageProcessor:
    """Resizing and normalisation as ``preprocessor_config.json`` says.

    Attributes:
        config: what it says.
        limits: of what images are taken.
    """

    config: PreprocessorConfig
    limits: ImageLimits = ANY_IMAGE

    def pixels(self, images: Sequence[ImageSource]) -> Pixels:
        """Load and resize images: uint8 ``[B, size, size, 3]`` RGB, what `vision` takes."""
        if len(images) == 1:
            return self._resized(images[0])[None]
        with ThreadPoolExecutor() as pool:  # Pillow works without Python's lock
            return np.stack(list(pool.map(self._resized, images)))

    def _resized(self, image: ImageSource) -> Pixels:
        size, resample = self.config.size, Image.Resampling(self.config.resample)
        loaded = load_image(image, least=LEAST_SCALE * size, limits=self.limits)
        return np.asarray(loaded.resize((size, size), resample))

    def pixel_values(self, images: Sequence[ImageSource]) -> FloatArray:
        """The same images as ``BlipImageProcessor`` returns them: float32 ``[B, 3, size, size]``, normalised.

        The runtime does not need this (`vision` normalises by itself); baselines and other runtimes do. The order of
        roundings is upstream's: rescale in float64, round to float32, subtract, divide.
        """
        rescaled = (self.pixels(images).astype(np.float64) * RESCALE_FACTOR).astype(np.float32)
        mean, std = (np.array(values, np.float32) for values in (self.config.image_mean, self.config.image_std))
        normal = (rescaled - mean) / std
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))
