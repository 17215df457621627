"""Differences between pictures, each found and named."""

import pytest
from pictures import encoded, noise
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from blipvino import ImageError
from blipvino.photos.jpeg_segments import coded_part, with_exif_of
from blipvino.photos.same_pictures import find_difference


def picture(seed=0):
    return Image.fromarray(noise(40, 30, seed=seed))


def frames(first, second, duration=(50, 60)):
    return encoded(picture(first), "PNG", save_all=True, append_images=[picture(second)], duration=list(duration))


def rotated(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(picture(), "JPEG", exif=exif.tobytes())


def with_text(text):
    """A PNG as image generators write it."""
    info = PngInfo()
    info.add_text("parameters", text)
    return encoded(picture(), "PNG", pnginfo=info)


PNG, JPEG = encoded(picture(), "PNG"), encoded(picture(), "JPEG")
PALETTE = picture().quantize(8)


def recoloured():
    other = PALETTE.copy()
    other.putpalette(bytes(range(24)))
    return encoded(other, "PNG")


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        (PNG, encoded(picture(), "PNG", compress_level=1), None),
        (PNG, encoded(picture(1), "PNG"), "the pixels"),
        (PNG, JPEG, "the number of frames"),
        (PNG, encoded(picture().convert("L"), "PNG"), "the size or the mode"),
        (encoded(PALETTE, "PNG"), recoloured(), "the palette"),
        (encoded(PALETTE, "PNG"), encoded(PALETTE, "PNG", transparency=1), "the colour profile or the timing"),
        (frames(0, 1), frames(0, 1), None),
        (frames(0, 1), frames(0, 2), "the pixels"),
        (frames(0, 1), frames(0, 1, duration=(50, 70)), "the colour profile or the timing"),
        (frames(0, 1), PNG, "the number of frames"),
        (rotated(1), rotated(6), "the orientation"),
        (with_text("seed 1"), with_text("seed 2"), "the texts in it"),
        (JPEG, JPEG + b"a film", "what follows the header"),
        (JPEG, encoded(picture(), "JPEG", comment=b"another"), None),
    ],
)
def test_differences(one, other, difference):
    assert find_difference(one, other, "photo") == difference
    assert find_difference(other, one, "photo") == difference


def test_what_cannot_be_decoded_is_refused():
    with pytest.raises(ImageError, match="photo"):
        find_difference(PNG[:500], PNG, "photo")


def test_segments_of_jpegs():
    assert coded_part(JPEG)[:2] == b"\xff\xda" and JPEG.endswith(coded_part(JPEG))
    inner = encoded(picture(1).resize((8, 8)), "JPEG")  # a preview in the metadata, with segments of its own
    with_preview = JPEG[:2] + b"\xff\xe2" + (len(inner) + 2).to_bytes(2, "big") + inner + JPEG[2:]
    assert coded_part(with_preview) == coded_part(JPEG)
    assert [coded_part(content) for content in (b"", b"\xff\xd8", b"\xff\xd8\xff")] == [b"", b"", b"\xff"]
    one, other = rotated(6), rotated(3)
    assert with_exif_of(one, other) == one
    assert with_exif_of(JPEG, one) == one
