"""Which images are meant by files, folders, patterns and standard input."""

import os
from pathlib import Path

import pytest

from blipvino.errors import InputError
from blipvino.photos.listing import list_photos, names_one_file, natural_key


@pytest.fixture
def album(tmp_path, monkeypatch):
    """Photos in folders, beside what else lies there; it is the working folder."""
    names = (
        *("img10.jpg", "img2.jpg", "IMG3.JPG", "B.png", "a.heic", "a.heic.xmp", "img2.txt", "notes.txt", ".hidden.jpg"),
        *("2021/x.webp", "2020/11/deep.tiff", "2020/y.avif", ".cache/z.png", "@eaDir/thumb.jpg", "odd.jpg/inner.gif"),
    )
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


ALL = (
    *("a.heic", "B.png", "img2.jpg", "IMG3.JPG", "img10.jpg"),
    *("2020/y.avif", "2020/11/deep.tiff", "2021/x.webp", "odd.jpg/inner.gif"),
)


def names(*inputs, lines=None):
    """What is listed; an error as its text."""
    return [str(each.path if each.error is None else each.error) for each in list_photos(inputs, lines)]


def test_a_folder_is_listed_in_natural_order_without_what_is_no_photo(album):
    assert names(".") == list(ALL)
    assert names(str(album)) == [str(album / name) for name in ALL]
    assert names("2020") == ["2020/y.avif", "2020/11/deep.tiff"]


def test_files_are_listed_as_they_are_given_but_for_sidecars(album):
    shell = sorted(path.name for path in album.iterdir() if path.is_file() and not path.name.startswith("."))
    assert names(*shell) == ["B.png", "IMG3.JPG", "a.heic", "img10.jpg", "img2.jpg", "notes.txt"]
    assert names("gone.jpg", ".hidden.jpg", "img10.jpg", "a.xmp") == ["gone.jpg", ".hidden.jpg", "img10.jpg"]


def test_everything_is_listed_once(album):
    (album / "again").symlink_to(album / "2020")
    (album / "img10 too.jpg").symlink_to("img10.jpg")  # a photo of its own: it may have a sidecar of its own
    (album / "2020" / "loop").symlink_to(album)
    os.link("img2.jpg", "same.jpg")
    expected = ["a.heic", "B.png", "img2.jpg", "IMG3.JPG", "img10 too.jpg", "img10.jpg", "same.jpg", *ALL[5:]]
    assert names(".") == expected
    assert names("2020", ".", "../" + album.name) == ["2020/y.avif", "2020/11/deep.tiff"] + [
        f"2020/loop/{name}" for name in expected if not name.startswith("2020")
    ]
    assert names("img10.jpg", "./img10.jpg", str(album / "img10.jpg"), "gone/a.jpg", "gone/a.jpg") == [
        *("img10.jpg", "gone/a.jpg")
    ]
    (album / "2020" / "loop").unlink()
    assert names("2020/y.avif", "2020", "again/y.avif", "again") == ["2020/y.avif", "2020/11/deep.tiff"]


def test_patterns(album):
    assert names("*.jp*g") == ["img2.jpg", "img10.jpg", "odd.jpg/inner.gif"]
    assert names("*.png", "*") == ["B.png", *ALL[5:8], "a.heic", *ALL[2:5], ALL[8]]
    assert names("**/*") == [*ALL[5:8], "a.heic", *ALL[1:5], ALL[8]]
    assert names("@eaDir/*") == ["@eaDir/thumb.jpg"]
    assert names("**/*.[wt]*") == ["2020/11/deep.tiff", "2021/x.webp"]
    assert names(f"{album}/202?/*") == [str(album / name) for name in (*ALL[6:7], ALL[5], ALL[7])]
    (album / "a[1].jpg").touch()
    assert names("a[1].jpg") == ["a[1].jpg"]
    assert "no image matches this pattern; expected files ending in .avif, .bmp" in names("*.raw")[0]


def test_standard_input_names_files_and_folders_line_by_line(album):
    (album / os.fsdecode(b"odd \xff.jpg")).touch()
    lines = [b"img2.jpg\n", b"\n", b"2020\r\n", b"*.jpg\n", b"odd \xff.jpg\n", b"img2.jpg"]
    assert names("-", "img10.jpg", lines=lines) == [
        *("img2.jpg", *ALL[5:7], "*.jpg", os.fsdecode(b"odd \xff.jpg"), "img10.jpg")
    ]


def test_names_that_are_parted_by_nul_are_told_from_lines(album):
    (told,) = list_photos(["-"], [b"img2.jpg\0img10.jpg\0"])
    assert "has a NUL in it; give one path a line" in str(told.error)


def test_an_empty_name_is_not_the_folder_at_work(album):
    with pytest.raises(InputError, match="name of an image is empty"):
        list_photos(["img2.jpg", ""])


def test_the_next_line_is_read_when_the_next_image_is_asked_for():
    read = []

    def lines():
        for number in range(3):
            read.append(number)
            yield b"%d.jpg\n" % number

    listed = list_photos(["-"], lines())
    assert next(listed).path == Path("0.jpg")
    assert read == [0]


def test_folders_without_images_and_such_that_cannot_be_read_are_told(album, monkeypatch):
    (album / "empty").mkdir()
    assert "empty: no images in it; expected files ending in" in names("empty")[0]
    (album / "nested").mkdir()
    (album / "nested" / "link").symlink_to(album / "2020")
    assert names("2020", "nested") == ["2020/y.avif", "2020/11/deep.tiff"]
    (album / "nested" / "link").unlink()
    scandir = os.scandir

    def refusing(folder):
        if Path(folder).name == "2020":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    listed = names(".")
    assert [name for name in listed if not name.startswith("2020")] == [n for n in ALL if not n.startswith("2020")]
    assert "2020: this folder cannot be listed (Permission denied); allow it to be read" in listed


def test_links_that_lead_nowhere_are_listed_and_no_trouble(album):
    (album / "loop.jpg").symlink_to("loop.jpg")
    (album / "dangling.png").symlink_to("gone.png")
    os.mkfifo(album / "pipe.gif")
    assert set(names(".")) == {*ALL, "loop.jpg", "dangling.png", "pipe.gif"}  # whoever reads them says what they are
    assert names("null\0.jpg", "x" * 5000) == ["null\0.jpg", "x" * 5000]


def test_one_file_is_told_from_what_may_be_several(album):
    (album / "a[1].jpg").touch()
    assert all(names_one_file([text]) for text in ("img2.jpg", "gone.jpg", "a[1].jpg", "notes.txt", "x" * 5000))
    assert not any(names_one_file([text]) for text in ("-", "2020", "*.jpg"))
    assert not names_one_file(["img2.jpg", "img10.jpg"])


def test_natural_order():
    given = ["a10", "a2", "A2b", "a02", "b", "10", "9", "²", "", "a"]
    assert sorted(given, key=natural_key) == ["", "9", "10", "a", "a02", "a2", "A2b", "a10", "b", "²"]
