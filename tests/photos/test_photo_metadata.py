"""Descriptions in the photos themselves: nothing else in them changes, and people's own words stay."""

import io
import os
import sys
from types import SimpleNamespace

import numpy as np
import pyexiv2
import pytest
from pictures import encoded, noise
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from blipvino.errors import InputError, OutputError
from blipvino.files.beside import FileWriter
from blipvino.photos.photo_metadata import PhotoMetadata

NOISE = Image.fromarray(noise(40, 30))
OTHER = Image.fromarray(noise(40, 30, seed=1))
EXIF = Image.Exif()
EXIF[ExifTags.Base.Orientation], EXIF[ExifTags.Base.Artist], EXIF[ExifTags.Base.ImageDescription] = 6, "Zoë", " " * 20
PNG_TEXT = PngInfo()
PNG_TEXT.add_itxt("Comment", "by hand")
PNG_TEXT.add_text("parameters", "a dog, seed 1", zip=True)


def three_frames(form, **options):
    first, *others = (Image.fromarray(noise(40, 30, seed=seed)) for seed in (0, 1, 2))
    return encoded(first, form, save_all=True, append_images=others, **options)


PHOTOS = {
    "plain.jpg": encoded(NOISE, "JPEG"),
    "rotated.jpg": encoded(NOISE, "JPEG", exif=EXIF.tobytes(), comment=b"by hand"),
    "progressive cmyk.jpg": encoded(NOISE.convert("CMYK"), "JPEG", progressive=True),
    "stereo.jpg": three_frames("MPO"),
    "with a film.jpg": encoded(NOISE, "JPEG") + b"MotionPhoto_Data" + bytes(range(256)) * 9,
    "text.png": encoded(NOISE, "PNG", pnginfo=PNG_TEXT),
    "16 bit.png": encoded(Image.fromarray(noise(40, 30, 1).astype(np.uint16) * 200), "PNG"),
    "palette.png": encoded(NOISE.quantize(9), "PNG", transparency=3),
    "animated.png": three_frames("PNG", duration=[50, 100, 150]),
    "lossy.webp": encoded(NOISE, "WEBP"),
    "animated.webp": three_frames("WEBP", duration=[50, 100, 150]),
    "pages.tif": three_frames("TIFF", compression="tiff_lzw"),
    "deep.tif": encoded(Image.fromarray(noise(40, 30, 1).astype(np.float32)), "TIFF"),
    "wavelets.jp2": encoded(NOISE, "JPEG2000"),
}


@pytest.fixture(params=PHOTOS)
def photo(request, tmp_path):
    path = tmp_path / request.param
    path.write_bytes(PHOTOS[request.param])
    return path


@pytest.fixture
def jpeg(tmp_path):
    path = tmp_path / "plain.jpg"
    path.write_bytes(PHOTOS["plain.jpg"])
    return path


def frames(content):
    """All frames of an image, as arrays, and its orientation."""
    with Image.open(io.BytesIO(content)) as image:
        found = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append(np.asarray(image).copy())
        return found, image.mode, image.getexif().get(ExifTags.Base.Orientation)


def metadata(path):
    """All that Exiv2 reads in a file."""
    image = pyexiv2.ImageData(path.read_bytes())
    found = {**image.read_exif(), **image.read_iptc(), **image.read_xmp()}
    image.close()
    return found


def place(**options):
    return PhotoMetadata(FileWriter(), **options)


@pytest.mark.parametrize("text", ["a dog on a bench", "ein Hund löst – 犬"])
def test_the_text_is_in_the_file_and_nothing_else_is_changed(photo, text):
    before = photo.read_bytes()
    known = metadata(photo)
    assert not place().has_description(photo)
    assert place().write(photo, text, overwrite=False) == photo
    found = metadata(photo)
    assert found["Exif.Image.ImageDescription"] == text
    assert found["Xmp.dc.description"] == found["Xmp.iptc.AltTextAccessibility"] == {'lang="x-default"': text}
    assert found.get("Iptc.Application2.Caption") == (None if photo.suffix == ".webp" else text)
    for name in set(known) - {"Exif.Image.ImageDescription"}:
        assert found[name] == known[name] or "Offset" in name
    old, new = frames(before), frames(photo.read_bytes())
    assert all(np.array_equal(one, other) for one, other in zip(old[0], new[0], strict=True))
    assert old[1:] == new[1:]
    assert place().has_description(photo)
    written = photo.stat()
    assert place().write(photo, text, overwrite=False) is None
    assert photo.stat() == written
    assert [path.name for path in photo.parent.iterdir()] == [photo.name]


def test_what_follows_a_jpegs_picture_stays(tmp_path):
    path = tmp_path / "with a film.jpg"
    path.write_bytes(PHOTOS[path.name])
    place().write(path, "a dog", overwrite=False)
    assert path.read_bytes().endswith(b"MotionPhoto_Data" + bytes(range(256)) * 9)


def test_peoples_own_words_stay_unless_they_are_to_be_replaced(jpeg):
    for name, change in (
        ("Exif.Image.ImageDescription", lambda image: image.modify_exif({"Exif.Image.ImageDescription": "mine"})),
        ("Iptc.Application2.Caption", lambda image: image.modify_iptc({"Iptc.Application2.Caption": "mine"})),
        ("Xmp.dc.description", lambda image: image.modify_xmp({"Xmp.dc.description": {'lang="de"': "mine"}})),
    ):
        jpeg.write_bytes(PHOTOS["plain.jpg"])
        with pyexiv2.Image(str(jpeg)) as image:
            change(image)
        before = jpeg.read_bytes()
        assert place().has_description(jpeg)
        with pytest.raises(OutputError, match=r"plain\.jpg: has another description, and is left as it is"):
            place().write(jpeg, "a dog", overwrite=False)
        assert jpeg.read_bytes() == before
        assert place().write(jpeg, "a dog", overwrite=True) == jpeg
        assert "a dog" in str(metadata(jpeg)[name])
        assert ("mine" in str(metadata(jpeg))) == (name == "Xmp.dc.description")  # that of another language


def test_alternative_texts_of_others_stay_and_what_cameras_put_is_none(jpeg):
    with pyexiv2.Image(str(jpeg)) as image:
        image.modify_xmp({"Xmp.iptc.AltTextAccessibility": {'lang="x-default"': "mine"}})
        image.modify_exif({"Exif.Image.ImageDescription": "OLYMPUS DIGITAL CAMERA         "})
    assert not place().has_description(jpeg)
    assert place().write(jpeg, "a dog", overwrite=False) == jpeg
    found = metadata(jpeg)
    assert found["Xmp.iptc.AltTextAccessibility"] == {'lang="x-default"': "mine"}
    assert found["Exif.Image.ImageDescription"] == "a dog"
    assert place().write(jpeg, "a dog", overwrite=False) is None


def test_old_texts_in_latin_1_stay_readable(jpeg):
    with pyexiv2.Image(str(jpeg)) as image:
        image.modify_iptc({"Iptc.Application2.City": "Köln"}, encoding="latin-1")
    assert place().write(jpeg, "犬", overwrite=False) == jpeg
    image = pyexiv2.ImageData(jpeg.read_bytes())
    assert image.read_iptc("latin-1") == {"Iptc.Application2.City": "Köln"}  # in IPTC's one encoding there is no 犬
    assert place().write(jpeg, "a dog", overwrite=True) == jpeg
    image = pyexiv2.ImageData(jpeg.read_bytes())
    assert image.read_iptc("latin-1") == {"Iptc.Application2.City": "Köln", "Iptc.Application2.Caption": "a dog"}


@pytest.mark.parametrize(("form", "kind"), [("GIF", "gif"), ("BMP", "x-ms-bmp"), ("AVIF", "avif")])
def test_formats_that_cannot_be_written_are_refused_by_name(tmp_path, form, kind):
    path = tmp_path / f"photo.{form.lower()}"
    path.write_bytes(encoded(NOISE, form))
    with pytest.raises(OutputError, match=rf"photo\.\w+: metadata cannot be written into image/{kind} files"):
        place().write(path, "a dog", overwrite=True)
    assert path.read_bytes() == encoded(NOISE, form)
    path.write_bytes(b"no image")
    with pytest.raises(OutputError, match="its metadata cannot be read"):
        place().has_description(path)


class OtherPixels(pyexiv2.ImageData):
    """As if Exiv2 harmed the picture."""

    def get_bytes(self):
        other = pyexiv2.ImageData(encoded(OTHER, "JPEG"))
        self.copy_to_another_image(other, icc=False)
        return other.get_bytes()


class LostComment(pyexiv2.ImageData):
    """As if it lost something."""

    def get_bytes(self):
        self.clear_comment()
        return super().get_bytes()


@pytest.mark.parametrize(("harmful", "what"), [(OtherPixels, "the pixels"), (LostComment, "comment")])
def test_a_change_of_anything_else_is_refused(jpeg, harmful, what):
    with pyexiv2.Image(str(jpeg)) as image:
        image.modify_comment("by hand")
    before, harmed = jpeg.read_bytes(), place()
    harmed._exiv2 = SimpleNamespace(ImageData=harmful)
    with pytest.raises(OutputError, match=rf"plain\.jpg: writing its metadata would change {what}, so it is left"):
        harmed.write(jpeg, "a dog", overwrite=False)
    assert jpeg.read_bytes() == before


class LostNotes(pyexiv2.ImageData):
    """Exiv2 as it is with the notes of some cameras: they change when EXIF is written."""

    def get_bytes(self):
        if "Exif.Photo.MakerNote" in self.read_exif():
            self.modify_exif({"Exif.Photo.MakerNote": "1 2 3"})
        return super().get_bytes()


def test_exif_stays_where_it_would_lose_a_cameras_notes(jpeg):
    with pyexiv2.Image(str(jpeg)) as image:
        image.modify_exif({"Exif.Photo.MakerNote": "9 8 7 6 5", "Exif.Image.Artist": "me"})
    known, careful = metadata(jpeg), place()
    careful._exiv2 = SimpleNamespace(ImageData=LostNotes, Image=pyexiv2.Image)
    assert careful.write(jpeg, "a dog", overwrite=False) == jpeg
    found = metadata(jpeg)
    assert {name: value for name, value in found.items() if name.startswith("Exif")} == known
    assert found["Xmp.dc.description"] == {'lang="x-default"': "a dog"}
    assert found["Iptc.Application2.Caption"] == "a dog"
    assert careful.write(jpeg, "a dog", overwrite=False) is None


def test_names_that_are_no_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.jpg")
    path.write_bytes(PHOTOS["plain.jpg"])
    assert not place().has_description(path)
    assert place().write(path, "a dog", overwrite=False) == path
    assert place().has_description(path)


def test_the_time_of_modification_changes_unless_it_is_to_be_kept(jpeg):
    os.utime(jpeg, ns=(10**18, 10**18))
    place(keep_mtime=True).write(jpeg, "a dog", overwrite=False)
    assert jpeg.stat().st_mtime_ns == 10**18
    place().write(jpeg, "a cat", overwrite=True)
    assert jpeg.stat().st_mtime_ns != 10**18


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyexiv2", None)
    with pytest.raises(InputError, match=r"--write-metadata needs pyexiv2 \(.*\): pip install 'blipvino\[metadata\]'"):
        place()


@pytest.mark.parametrize("text", ["a dog é 日本", "a" * 23, "a" * 279])
def test_a_png_whose_iptc_would_not_be_read_again_does_without(tmp_path, text):
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(NOISE, "PNG"))
    assert place().write(path, text, overwrite=False) == path
    found = metadata(path)
    assert found["Xmp.dc.description"] == {'lang="x-default"': text}
    assert found["Exif.Image.ImageDescription"] == text
    assert place().write(path, text, overwrite=False) is None


def test_an_error_without_a_message_is_told_by_its_kind(jpeg):
    def refuse(content):
        raise MemoryError

    broken = place()
    broken._exiv2 = SimpleNamespace(ImageData=refuse)
    with pytest.raises(OutputError, match=r"its metadata cannot be read \(MemoryError\)"):
        broken.write(jpeg, "a dog", overwrite=False)
