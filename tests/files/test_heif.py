"""HEIC and AVIF files, with and without their readers."""

import sys

import numpy as np
import pytest
from pictures import encoded
from PIL import Image

from blipvino import ImageError
from blipvino.files import heif
from blipvino.files.heif import heif_is_readable, heif_kind
from blipvino.runtime.inputs.images import load_image

GRADIENT = Image.fromarray(np.tile(np.linspace(0, 255, 48, dtype=np.uint8), (40, 1))).convert("RGB")


@pytest.fixture(scope="module")
def heic():
    assert heif_is_readable()
    return encoded(GRADIENT, "HEIF", quality=95)


@pytest.fixture
def avif():
    return encoded(GRADIENT, "AVIF", quality=95)


def test_heic_and_avif_are_read(heic, avif, tmp_path):
    for name, content in (("phone.heic", heic), ("web.avif", avif)):
        (tmp_path / name).write_bytes(content)
        for source in (content, tmp_path / name):
            image = load_image(source)
            assert (image.mode, image.size) == ("RGB", GRADIENT.size)
            assert np.abs(np.asarray(image, np.int16) - np.asarray(GRADIENT, np.int16)).mean() < 4


def test_kinds_are_told_by_their_brands(heic, avif):
    assert heif_kind(heic) == "HEIC"
    assert heif_kind(avif) == "AVIF"
    assert heif_kind(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix") == "HEIC"
    assert heif_kind(b"\0\0\0\x14ftypmif1\0\0\0\0miafheic") == "HEIF"  # what lies behind the box does not count
    assert heif_kind(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") is None  # a film
    assert [heif_kind(content) for content in (b"", b"\0\0\0\x18ftyp", encoded(GRADIENT, "JPEG"))] == [None] * 3


def test_what_is_missing_is_named(heic, avif, tmp_path, monkeypatch):
    (tmp_path / "phone.heic").write_bytes(heic)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    heif_is_readable.cache_clear()
    unregister(monkeypatch, "HEIF")
    with pytest.raises(ImageError, match=r"phone\.heic: a HEIC image, which needs pillow-heif: pip install 'blipvino"):
        load_image(tmp_path / "phone.heic")
    unregister(monkeypatch, "AVIF")
    with pytest.raises(ImageError, match="an AVIF image, which this Pillow was built without"):
        load_image(avif)
    heif_is_readable.cache_clear()


def unregister(monkeypatch, form):
    """Have Pillow know nothing of a format."""
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != form])


def test_damaged_files_are_refused(heic):
    for cut in (40, len(heic) // 2, len(heic) - 5):
        with pytest.raises(ImageError, match=f"given {cut} bytes"):
            load_image(heic[:cut])
    assert heif.INSTALL_HEIF == "pip install 'blipvino[heif]'"
