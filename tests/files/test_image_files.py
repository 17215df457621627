"""Files that are no image, are damaged, or are too large: an ImageError of one line that names the thing."""

import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pictures import encoded, noise
from PIL import Image

from blipvino import ImageError
from blipvino.files import image_files
from blipvino.files import sample_files as files
from blipvino.runtime.inputs.images import load_image

HEADERS = (
    b"",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"GIF89a",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"RIFF\x24\0\0\0WEBPVP8 ",
    b"P6 3 3 255\n",
    b"8BPS\0\x01",
    b"\0\0\x01\0",
    b"DDS |\0\0\0",
    b"icns",
    b"\0\0\0\x1cftypavif",
    b"FTEX",
    b"qoif",
    b"SIMPLE  =",
    b"/* XPM */",
    b"%!PS-Adobe",
)


def is_refused_or_read(source, name):
    """Whether the source is an image; if not it must be refused with the name of it, in one line."""
    try:
        return load_image(source).mode == "RGB"
    except ImageError as error:
        assert name in str(error)
        assert "\n" not in str(error)
        return False


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300))
def test_random_bytes_are_refused(data):
    assert not is_refused_or_read(data, f"{len(data)} bytes")


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it finds in damaged files
@settings(max_examples=400, deadline=None)
@given(header=st.sampled_from(HEADERS), data=st.binary(max_size=120))
def test_random_bytes_after_a_known_header_are_refused_or_read(header, data):
    is_refused_or_read(header + data, f"{len(header + data)} bytes")


FILES = {
    form: encoded(Image.fromarray(noise(40, 30)), form)
    for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "ICO")
}


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_files_are_refused_or_read(data):
    """A file cut short, or with one run of bytes overwritten."""
    original = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    cut = data.draw(st.integers(0, len(original)))
    start = data.draw(st.integers(0, min(len(original) - 1, 200)))
    damage = data.draw(st.binary(max_size=8))
    damaged = (original[:start] + damage + original[start + len(damage) :])[:cut]
    assume(damaged != original)
    is_refused_or_read(damaged, f"{len(damaged)} bytes")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_truncated_files_are_refused_by_name(tmp_path, form):
    path = tmp_path / "half.image"
    path.write_bytes(FILES[form][: len(FILES[form]) // 2])
    with pytest.raises(ImageError, match=r"half\.image"):
        load_image(path)


def test_empty_file_and_bytes(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(ImageError, match=r"empty\.png"):
        load_image(path)
    with pytest.raises(ImageError, match="0 bytes"):
        load_image(b"")


@pytest.mark.parametrize("convert", [str, Path])
def test_missing_file_and_folder(tmp_path, convert):
    for path in (tmp_path / "nowhere.jpg", tmp_path, tmp_path / "nowhere" / "deeper.png"):
        with pytest.raises(ImageError, match=str(path)):
            load_image(convert(path))


@pytest.mark.parametrize("name", ["", "bad\0name.png", "x" * 5000, "http://example.com/cat.jpg"])
def test_strings_that_are_no_path(name):
    with pytest.raises(ImageError, match="no such image file"):
        load_image(name)


def test_what_is_no_file_is_told_apart(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")  # opening it would wait for a writer for ever
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone.png")
    (tmp_path / "note.txt").touch()
    expected = {
        tmp_path / "folder": "is a folder; give the image files in it",
        tmp_path / "fifo": "is a fifo, expected an image file",
        Path("/dev/null"): "is a device, expected an image file",
        tmp_path / "loop": "is a link that leads to itself",
        tmp_path / "dangling": r"is a link to .*gone\.png, which does not exist",
        tmp_path / "note.txt" / "a.png": "what should be a folder in this path is none",
        tmp_path / ("x" * 300): "the name is too long",
        Path("http://example.com/cat.jpg"): "a URL is not fetched",
        tmp_path / "gone.png": "no such image file$",
        tmp_path / "gone": "no such file or folder$",
    }
    for path, problem in expected.items():
        for load in (load_image, files.load_image):
            with pytest.raises(ImageError, match=problem) as refusal:
                load(path)
            assert str(refusal.value).startswith(str(path))


def test_a_file_that_may_not_be_read_is_told_apart():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for inner in (folder / "open", folder / "closed"):
            inner.mkdir()
            (inner / "photo.png").write_bytes(FILES["PNG"])
        (folder / "open" / "photo.png").chmod(0)
        (folder / "closed").chmod(0)
        folder.chmod(0o755)
        root = os.geteuid() == 0  # who may read everything
        if root:
            os.seteuid(65534)
        try:
            for inner in ("open", "closed"):
                with pytest.raises(ImageError, match=r"photo\.png: permission denied"):
                    load_image(folder / inner / "photo.png")
        finally:
            if root:
                os.seteuid(0)
            (folder / "closed").chmod(0o700)


def test_text_file_is_refused_by_name(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("a dog\n")
    with pytest.raises(ImageError, match=r"notes\.txt"):
        load_image(path)


def test_decompression_bomb_is_refused():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = bytearray(FILES["PNG"])
    data[16:29] = header
    data[29:33] = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(ImageError, match=r"178,956,970 pixels allowed; make it smaller first"):
        load_image(bytes(data))


def test_more_pixels_than_allowed_are_refused_whatever_pillow_allows():
    few = image_files.ImageLimits(pixels=999)
    with pytest.raises(ImageError, match=r"40 x 30 pixels, more than the 999 allowed"):
        load_image(FILES["PNG"], limits=few)
    with pytest.raises(ImageError, match=r"given array: has 40 x 25 pixels"):
        load_image(noise(40, 25), limits=few)


@pytest.mark.parametrize("size", [(1, 1001), (2002, 2)])
def test_absurd_shapes_are_refused(size):
    with pytest.raises(ImageError, match=r"one side more than 1000 times the other; crop it"):
        load_image(encoded(Image.new("RGB", size), "PNG"))
    assert load_image(Image.new("RGB", (1000, 1))).size == (1000, 1)


def test_large_images_bring_no_warning_of_pillow(tmp_path):
    """In a process of its own: pytest sets the filters of warnings anew for every test."""
    path = tmp_path / "large.png"
    Image.new("1", (9500, 9500)).save(path)  # more than Pillow's limit of 89 megapixels, and small to decode
    script = (
        "import sys; from blipvino.files.sample_files import load_image as load\n"
        "import blipvino.runtime.inputs.images as images\n"
        "print(load(images.Path(sys.argv[1])).size, images.load_image(sys.argv[1]).size)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout == "(9500, 9500) (9500, 9500)\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("form", "size", "message"),
    [
        ("TIFF", (10, 10), "cannot be read as an image"),
        ("PNG", (11, 10), "more than the 100 allowed"),
        ("PNG", (20, 4), "one side more than 4 times the other"),
        ("PNG", (20, 5), None),
    ],
)
def test_whoever_reads_may_take_less(form, size, message):
    content = encoded(Image.new("RGB", size), form)
    limits = image_files.ImageLimits(("PNG", "JPEG"), pixels=100, aspect=4)
    assert load_image(content).size == size
    if message is None:
        assert load_image(content, limits=limits).size == size
        return
    with pytest.raises(ImageError, match=message):
        load_image(content, limits=limits)
