"""Opening images: what is no image file is told apart, and what is too large to decode is refused."""

from __future__ import annotations

import errno
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from blipvino.errors import ImageError
from blipvino.files.heif import INSTALL_HEIF, heif_is_readable, heif_kind

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
    | {".heic", ".heif", ".hif", ".avif"}
)
"""Of the files that are taken for images where a folder is given, in small letters."""
MAX_PIXELS = 178_956_970
"""Pixels that an image may have. Pillow refuses larger files by itself: they may be small and swell when decoded."""
MAX_ASPECT = 1000
"""How many times longer one side may be than the other. Resizing takes memory by the side, and such an image shows
nothing once it is square."""


@dataclass(frozen=True)
class ImageLimits:
    """What images are taken.

    Attributes:
        formats: of files, by Pillow's names, such as "JPEG"; None is every one that it reads.
        pixels: that an image may have.
        aspect: how many times longer one side may be than the other.
    """

    formats: tuple[str, ...] | None = None
    pixels: int = MAX_PIXELS
    aspect: int = MAX_ASPECT


ANY_IMAGE = ImageLimits()

# Of half as many pixels Pillow warns; what we refuse is told by an error, and what we do not needs no word. Appended:
# a filter that the process set for this warning goes before ours.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, append=True)

_KINDS = (
    (stat.S_ISFIFO, "is a fifo, expected an image file"),
    (stat.S_ISCHR, "is a device, expected an image file"),
    (stat.S_ISBLK, "is a device, expected an image file"),
    (stat.S_ISSOCK, "is a socket, expected an image file"),
)
_PROBLEMS = {
    errno.ELOOP: "is a link that leads to itself, expected an image file",
    errno.ENAMETOOLONG: "no such image file: the name is too long for one",
    errno.ENOTDIR: "no such image file: what should be a folder in this path is none",
    errno.EACCES: "permission denied; allow the file and its folders to be read",
    errno.EPERM: "permission denied; allow the file and its folders to be read",
}


@contextmanager
def open_image(source: Path | bytes, name: str, limits: ImageLimits = ANY_IMAGE) -> Iterator[Image.Image]:
    """Open a file, or the bytes of one, for decoding in the block. Whatever the block raises is an `ImageError`.

    Args:
        source: the path or the bytes.
        name: what errors call it.
        limits: of what is taken.

    Yields:
        The image, not decoded yet, in the mode of the file.

    Raises:
        ImageError: there is no such file or it is something else, it is no image or a damaged one, or is too large.
    """
    if isinstance(source, Path):
        problem = _no_file(source)
        if problem is not None:
            raise ImageError(f"{name}: {problem}")
    try:
        with _opened(source, name, limits.formats) as image:
            check_size(image, name, limits)
            yield image
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        most = f"{limits.pixels:,}"
        raise ImageError(f"{name}: has more than the {most} pixels allowed; make it smaller first") from error
    except Exception as error:  # on damaged data Pillow's readers raise whatever trips them, not OSError alone
        raise ImageError(f"{name}: {_unreadable(error)}") from error


def check_size(image: Image.Image, name: str, limits: ImageLimits = ANY_IMAGE) -> None:
    """Refuse an image that is empty, or too large or too narrow to be resized.

    Raises:
        ImageError: it is.
    """
    size = f"{image.width} x {image.height}"
    if 0 in image.size:
        raise ImageError(f"{name}: has no pixels ({size})")
    if image.width * image.height > limits.pixels:
        raise ImageError(f"{name}: has {size} pixels, more than the {limits.pixels:,} allowed; make it smaller first")
    aspect = limits.aspect
    if max(image.size) > aspect * min(image.size):
        raise ImageError(f"{name}: has {size} pixels, one side more than {aspect} times the other; crop it first")


def _opened(source: Path | bytes, name: str, formats: tuple[str, ...] | None) -> Image.Image:
    """An image whose pixels are still in the file.

    Raises:
        ImageError: it needs a reader that is not installed.
    """
    formats = None if formats is None else _readable(formats)
    try:
        return Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    except UnidentifiedImageError:
        kind = heif_kind(source)
        if kind == "AVIF":
            raise ImageError(f"{name}: an AVIF image, which this Pillow was built without; upgrade Pillow") from None
        if kind is None:
            raise
        if not heif_is_readable():
            raise ImageError(f"{name}: a {kind} image, which needs pillow-heif: {INSTALL_HEIF}") from None
        return Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=formats)


def _readable(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the formats that there is a reader of."""
    Image.init()
    if "HEIF" in formats:
        heif_is_readable()
    return tuple(name for name in formats if name in Image.OPEN)


def _no_file(path: Path) -> str | None:
    """Why there is no image file at a path: nothing is opened to find out, since opening a fifo waits for a writer."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            return f"no such image file: it is a link to {path.readlink()}, which does not exist"
        web = ": a URL is not fetched, download the file first" if path.parts[:1] in (("http:",), ("https:",)) else ""
        return f"no such {'image file' if path.suffix else 'file or folder'}{web}"
    except ValueError:  # a character that no path has
        return "no such image file"
    except OSError as error:
        return _PROBLEMS.get(error.errno or 0, f"cannot be read ({error.strerror})")
    if stat.S_ISDIR(mode):
        return "is a folder; give the image files in it"
    return next((problem for is_kind, problem in _KINDS if is_kind(mode)), None)


def _unreadable(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in _PROBLEMS:
        return _PROBLEMS[error.errno]
    if isinstance(error, UnidentifiedImageError):
        return "cannot be read as an image (not a format that is known, or a damaged file); replace it"
    return f"cannot be read as an image ({error}); replace it"
