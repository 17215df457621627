"""Text and XMP files beside photos: named as others name them, and other people's words stay."""

import os

import pytest

from blipvino.errors import OutputError
from blipvino.files.beside import FileWriter
from blipvino.photos.photo_metadata import PhotoMetadata
from blipvino.photos.places import Describer
from blipvino.photos.sidecar_names import Naming
from blipvino.photos.text_sidecars import TextSidecars
from blipvino.photos.xmp import XmpTexts, new_xmp, read_xmp
from blipvino.photos.xmp_sidecars import XmpSidecars


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.v2.jpg"
    path.touch()
    return path


def text_sidecars(**options):
    return TextSidecars(FileWriter(), **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_text_is_a_line_with_prefix_and_suffix(photo):
    place = text_sidecars(prefix="sks dog, ", suffix=", photo")
    assert not place.has_description(photo)
    assert place.write(photo, "a dög", overwrite=False) == photo.with_name("photo.v2.txt")
    assert photo.with_name("photo.v2.txt").read_bytes() == "sks dog, a dög, photo\n".encode()
    assert place.has_description(photo)
    assert names(photo.parent) == ["photo.v2.jpg", "photo.v2.txt"]


def test_another_text_stays_unless_it_is_to_be_replaced(photo):
    place, sidecar = text_sidecars(), photo.with_suffix(".txt")
    sidecar.write_text("by hand")
    sidecar.chmod(0o640)
    with pytest.raises(OutputError, match=r"photo\.v2\.txt: has another text, and is left as it is; --overwrite"):
        place.write(photo, "a dog", overwrite=False)
    assert sidecar.read_text() == "by hand"
    assert place.write(photo, "by hand", overwrite=False) is None
    assert place.write(photo, "a dog", overwrite=True) == sidecar
    assert sidecar.read_text() == "a dog\n"
    assert sidecar.stat().st_mode & 0o777 == 0o640
    sidecar.write_text(" \n")  # blank: none
    assert not place.has_description(photo)
    assert place.write(photo, "a dog", overwrite=False) == sidecar


def test_photos_that_share_a_stem_get_no_sidecar_that_could_be_of_either(photo, tmp_path):
    other = photo.with_suffix(".png")
    other.touch()
    for one, two in ((photo, other), (other, photo)):
        with pytest.raises(OutputError, match=rf"{one.name}: photo\.v2\.txt would be the sidecar of {two.name}, too"):
            text_sidecars().write(one, "a dog", overwrite=True)
    full = text_sidecars(naming=Naming.full)
    assert full.write(photo, "a dog", overwrite=False) == tmp_path / "photo.v2.jpg.txt"
    assert full.write(other, "a cat", overwrite=False) == tmp_path / "photo.v2.png.txt"


def test_xmp_sidecars_have_the_whole_name_and_both_texts(photo):
    place = XmpSidecars(FileWriter())
    assert not place.has_description(photo)
    sidecar = photo.with_name("photo.v2.jpg.xmp")
    assert place.write(photo, "a dog", overwrite=False) == sidecar
    assert read_xmp(sidecar.read_bytes()) == XmpTexts("a dog", "a dog")
    assert place.has_description(photo)
    assert place.write(photo, "a dog", overwrite=False) is None
    with pytest.raises(OutputError, match="has another description, and is left as it is"):
        place.write(photo, "a cat", overwrite=False)
    assert place.write(photo, "a cat", overwrite=True) == sidecar
    assert read_xmp(sidecar.read_bytes()) == XmpTexts("a cat", "a cat")


def test_a_sidecar_of_the_stem_is_extended_where_it_is_this_photos_alone(photo, tmp_path):
    adobe = tmp_path / "photo.v2.xmp"
    adobe.write_bytes(new_xmp(XmpTexts(None, "for screen readers, by hand")))
    assert XmpSidecars(FileWriter()).write(photo, "a dog", overwrite=False) == adobe
    assert read_xmp(adobe.read_bytes()) == XmpTexts("a dog", "for screen readers, by hand")
    assert XmpSidecars(FileWriter()).write(photo, "a dog", overwrite=False) is None
    adobe.write_bytes(new_xmp(XmpTexts(None, None)))
    (tmp_path / "photo.v2.CR2").touch()  # whose it is
    assert XmpSidecars(FileWriter()).write(photo, "a dog", overwrite=False) == tmp_path / "photo.v2.jpg.xmp"
    with pytest.raises(OutputError, match=r"would be the sidecar of photo\.v2\.CR2, too"):
        XmpSidecars(FileWriter(), Naming.stem).write(photo, "a dog", overwrite=False)
    assert read_xmp(adobe.read_bytes()) == XmpTexts(None, None)


def test_what_is_no_xmp_is_left_as_it_is(photo):
    sidecar = photo.with_name("photo.v2.jpg.xmp")
    sidecar.write_text("<svg/>")
    with pytest.raises(OutputError, match=r"photo\.v2\.jpg\.xmp: it has no rdf:RDF, which all XMP has; move it away"):
        XmpSidecars(FileWriter()).write(photo, "a dog", overwrite=True)
    assert sidecar.read_text() == "<svg/>"
    sidecar.write_text("")
    assert XmpSidecars(FileWriter()).write(photo, "a dog", overwrite=False) == sidecar


def test_what_stands_in_the_way_is_named(photo):
    photo.with_suffix(".txt").mkdir()
    with pytest.raises(OutputError, match=r"photo\.v2\.txt: cannot be read \(Is a directory\)"):
        text_sidecars().write(photo, "a dog", overwrite=True)
    photo.with_suffix(".txt").rmdir()
    photo.with_suffix(".txt").symlink_to("nowhere/else.txt")
    photo.with_name("photo.v2.jpg.xmp").symlink_to("nowhere.xmp")
    for place in (text_sidecars(), XmpSidecars(FileWriter())):
        with pytest.raises(OutputError, match=r"cannot be read \(a link that leads nowhere\); move it away to have"):
            place.write(photo, "a dog", overwrite=True)
    assert photo.with_suffix(".txt").is_symlink() and photo.with_name("photo.v2.jpg.xmp").is_symlink()


@pytest.mark.parametrize("place", [text_sidecars(naming=Naming.full), XmpSidecars(FileWriter())])
def test_a_name_that_is_too_long_is_told(tmp_path, place):
    photo = tmp_path / f"{'x' * 251}.jpg"
    photo.touch()
    describer = Describer([place], skip_existing=True)
    assert not describer.is_done(photo)
    (problem,) = describer.describe(photo, "a dog").problems
    assert "cannot be written (File name too long)" in str(problem)


def test_a_describer_passes_over_what_is_there_and_goes_on_after_problems(photo, tmp_path):
    files = FileWriter()
    places = (TextSidecars(files), XmpSidecars(files))
    photo.with_suffix(".txt").write_text("by hand")
    skipping = Describer(places, skip_existing=True)
    assert not skipping.is_done(photo)
    outcome = skipping.describe(photo, "a dog")
    assert ([path.name for path in outcome.written], outcome.problems) == (["photo.v2.jpg.xmp"], ())
    assert skipping.is_done(photo)
    assert not Describer(places).is_done(photo)
    outcome = Describer(places).describe(photo, "a cat")
    assert (outcome.written, len(outcome.problems)) == ((), 2)
    outcome = Describer(places, overwrite=True).describe(photo, "a cat")
    assert len(outcome.written) == 2
    blank = Describer(places).describe(tmp_path / "new.jpg", "  ")
    assert (blank.written, blank.problems) == ((), ())
    assert not (tmp_path / "new.txt").exists()


def test_a_full_disk_ends_the_work(photo, monkeypatch):
    def full(descriptor, content):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"photo\.v2\.txt: cannot be written \(No space left on device\)"):
        Describer([text_sidecars()]).describe(photo, "a dog")
    assert names(photo.parent) == ["photo.v2.jpg"]


@pytest.mark.parametrize("place", [text_sidecars(), XmpSidecars(FileWriter()), PhotoMetadata(FileWriter())])
@pytest.mark.parametrize("name", ["a\0b.jpg", f"{'x' * 300}.jpg"])
def test_names_that_no_file_has_are_not_done(tmp_path, place, name):
    describer = Describer([place], skip_existing=True)
    assert not describer.is_done(tmp_path / name)
    assert len(describer.describe(tmp_path / name, "a dog").problems) == 1


def test_a_folder_that_may_not_be_entered_does_not_end_the_work(photo, monkeypatch):
    def closed(path):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(type(photo), "is_file", closed)
    assert not Describer([PhotoMetadata(FileWriter())], skip_existing=True).is_done(photo)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_in_place_of_a_sidecar_is_not_waited_for(photo):
    for place, sidecar in (
        (text_sidecars(), photo.with_suffix(".txt")),
        (XmpSidecars(FileWriter()), photo.with_name(f"{photo.name}.xmp")),
    ):
        os.mkfifo(sidecar)
        assert not Describer([place], skip_existing=True).is_done(photo)
        with pytest.raises(OutputError, match=r"cannot be read \(no regular file\)"):
            place.write(photo, "a dog", overwrite=True)
