"""Whether two image files show the very same: every frame, every pixel, and how they are to be shown."""

from __future__ import annotations

from PIL import ExifTags, Image

from blipvino.files.image_files import open_image
from blipvino.photos.jpeg_segments import coded_part

_METADATA = ("Raw profile type", "XML:com.adobe.xmp")
"""How the names begin of a PNG's texts that are metadata of the kinds that other formats have."""
_SHOWN_BY = ("icc_profile", "transparency", "duration", "loop", "background", "gamma", "blend", "disposal")
"""What changes a picture's look or timing, of what Pillow tells of a frame."""


def find_difference(before: bytes, after: bytes, name: str) -> str | None:
    """What two image files differ in, metadata aside: None where it is nothing.

    Args:
        before: the bytes of a file.
        after: those of the other.
        name: what errors call them.

    Raises:
        ImageError: one of them cannot be decoded.
    """
    with open_image(before, name) as old, open_image(after, name) as new:
        frames = getattr(old, "n_frames", 1)
        if (old.format, frames) != (new.format, getattr(new, "n_frames", 1)):
            return "the number of frames"
        for number in range(frames):
            difference = _frame_difference(old, new, number)
            if difference is not None:
                return difference
        if old.format in ("JPEG", "MPO") and coded_part(before) != coded_part(after):
            return "what follows the header"
    return None


def _frame_difference(old: Image.Image, new: Image.Image, number: int) -> str | None:
    for image in (old, new):
        image.seek(number)
        image.load()
    if (old.size, old.mode) != (new.size, new.mode):
        return "the size or the mode"
    if old.getpalette() != new.getpalette():
        return "the palette"
    if any(old.info.get(key) != new.info.get(key) for key in _SHOWN_BY):
        return "the colour profile or the timing"
    if any(_texts(new).get(key) != text for key, text in _texts(old).items()):
        return "the texts in it"
    orientation = ExifTags.Base.Orientation
    if old.getexif().get(orientation) != new.getexif().get(orientation):
        return "the orientation"
    return None if old.tobytes() == new.tobytes() else "the pixels"


def _texts(image: Image.Image) -> dict[str, str]:
    """The texts of a PNG, such as the settings that image generators keep there."""
    found = getattr(image, "text", {}) if image.format == "PNG" else {}
    return {key: str(text) for key, text in found.items() if not key.startswith(_METADATA)}
