"""Pixels as transformers' `BlipImageProcessorPil` makes them, from anything that can be called an image."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from blipvino import CheckpointError, ImageError
from blipvino.checkpoint.config import parse_preprocessor
from blipvino.files import image_files
from blipvino.files import reading as files
from blipvino.runtime.inputs import images
from blipvino.runtime.inputs.images import ImageProcessor, load_image

upstream = pytest.importorskip("transformers.models.blip.image_processing_pil_blip")

SIZE = 48
CONFIG = {"size": {"height": SIZE, "width": SIZE}, "resample": 3}
OURS = ImageProcessor(parse_preprocessor(CONFIG, SIZE, "test"))
THEIRS = upstream.BlipImageProcessorPil(size=CONFIG["size"])

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 130)
sizes = st.tuples(sides, sides) | st.sampled_from([(1, 1), (1, 900), (1200, 2), (SIZE, SIZE), (SIZE, 7), (384, 384)])


def noise(width, height, channels=3, seed=0):
    """Random pixels, uint8 ``[H, W, channels]``, or ``[H, W]`` of one channel."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def encoded(image, form, **options):
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def assert_as_upstream(image):
    """Float pixel values, and the uint8 pixels before normalisation, bit for bit."""
    expected = THEIRS([image], return_tensors="np")["pixel_values"]
    found = OURS.pixel_values([image])
    assert found.dtype == expected.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)
    plain = THEIRS([image], return_tensors="np", do_rescale=False, do_normalize=False)["pixel_values"]
    pixels = OURS.pixels([image])
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(plain).transpose(0, 2, 3, 1))


@settings(max_examples=60, deadline=None)
@given(size=sizes, seed=seeds)
@example(size=(1, 1), seed=0)
@example(size=(2000, 3), seed=0)
@example(size=(SIZE, SIZE), seed=0)
def test_rgb_as_upstream(size, seed):
    assert_as_upstream(Image.fromarray(noise(*size, seed=seed)))


@pytest.mark.parametrize("size", [96, 384])
def test_sizes_of_real_checkpoints_as_upstream(size):
    image = Image.fromarray(noise(500, 375))
    ours = ImageProcessor(parse_preprocessor({}, size, "test")).pixel_values([image])
    theirs = upstream.BlipImageProcessorPil(size={"height": size, "width": size})
    np.testing.assert_array_equal(ours, theirs([image], return_tensors="np")["pixel_values"])


@pytest.mark.parametrize("resample", [0, 1, 2, 3, 4, 5])
def test_other_settings_as_upstream(resample):
    settings_ = {"resample": resample, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    image = Image.fromarray(noise(70, 33))
    ours = ImageProcessor(parse_preprocessor({**CONFIG, **settings_}, SIZE, "test")).pixel_values([image])
    theirs = upstream.BlipImageProcessorPil(size=CONFIG["size"], **settings_)
    np.testing.assert_array_equal(ours, theirs([image], return_tensors="np")["pixel_values"])


def test_several_images_are_stacked_in_order():
    images = [Image.fromarray(noise(20 + index, 30, seed=index)) for index in range(4)]
    found = OURS.pixel_values(images)
    np.testing.assert_array_equal(found, THEIRS(images, return_tensors="np")["pixel_values"])
    np.testing.assert_array_equal(found[2], OURS.pixel_values([images[2]])[0])


@pytest.mark.parametrize("size", [{"height": 24, "width": 24}, {"shortest_edge": SIZE}, {"height": SIZE}, 24])
def test_preprocessing_for_another_model_size_is_refused(size):
    with pytest.raises(CheckpointError, match="size"):
        parse_preprocessor({"size": size}, SIZE, "test")


@pytest.mark.parametrize(
    "setting",
    [
        {"do_normalize": False},
        {"rescale_factor": 1 / 127.5},
        {"image_std": [0.2, 0.0, 0.2]},
        {"image_mean": [0.5]},
        {"resample": "bicubic"},
    ],
)
def test_settings_that_the_graphs_do_not_have_are_refused(setting):
    with pytest.raises(CheckpointError, match=next(iter(setting))):
        parse_preprocessor(setting, SIZE, "test")


# Modes. What upstream converts, blipvino converts alike.


def palette_image(transparency=None):
    image = Image.fromarray(noise(30, 20)).quantize(16)
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


MODES = {
    "L": Image.fromarray(noise(31, 17, 1)),
    "1": Image.fromarray(noise(31, 17, 1)).convert("1"),
    "CMYK": Image.fromarray(noise(31, 17, 4), "CMYK"),
    "YCbCr": Image.fromarray(noise(31, 17), "YCbCr"),
    "HSV": Image.fromarray(noise(31, 17), "HSV"),
    "P": palette_image(),
    "P with a transparent entry": palette_image(3),
    "P with transparencies": palette_image(bytes(range(0, 256, 16))),
    "PA": Image.fromarray(noise(31, 17, 4), "RGBA").convert("PA"),
    "LA": Image.fromarray(noise(31, 17, 2), "LA"),
    "RGBA": Image.fromarray(noise(31, 17, 4), "RGBA"),
    "RGBX": Image.fromarray(noise(31, 17, 4), "RGBX"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("image", MODES.values(), ids=MODES)
def test_modes_as_upstream(image):
    assert_as_upstream(image)


def test_rgb_with_a_transparent_colour_as_upstream():
    image = Image.fromarray(np.repeat(noise(9, 9, 1) // 128 * 255, 3).reshape(9, 9, 3))
    image.info["transparency"] = (0, 0, 0)
    assert_as_upstream(image)
    assert np.asarray(load_image(image)).min() == 255


@settings(max_examples=30, deadline=None)
@given(size=st.tuples(st.integers(1, 60), st.integers(1, 60)), seed=seeds)
def test_transparency_is_composited_on_white_as_upstream(size, seed):
    image = Image.fromarray(noise(*size, channels=4, seed=seed), "RGBA")
    assert_as_upstream(image)
    convert = pytest.importorskip("transformers.image_transforms").convert_to_rgb
    np.testing.assert_array_equal(np.asarray(load_image(image)), convert(image, return_numpy=True))


def test_full_transparency_is_white():
    image = Image.new("RGBA", (5, 5), (10, 20, 30, 0))
    assert (np.asarray(load_image(image)) == 255).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_greyscale_keeps_its_upper_bits(form):
    values = np.random.default_rng(0).integers(0, 2**16, (11, 13), dtype=np.uint16)
    for image in (Image.fromarray(values), encoded(Image.fromarray(values), form)):
        found = np.asarray(load_image(image))
        np.testing.assert_array_equal(found, np.repeat((values >> 8)[..., None], 3, axis=2))


def test_greyscale_has_three_equal_channels():
    grey = noise(8, 6, 1)
    for source in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(np.asarray(load_image(source)), np.repeat(grey[..., None], 3, axis=2))


# EXIF, animations.

ORIENTATION = 0x0112
UPRIGHT = {
    1: lambda array: array,
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.transpose(1, 0, 2),
    6: lambda array: np.rot90(array, -1),
    7: lambda array: array[::-1, ::-1].transpose(1, 0, 2),
    8: lambda array: np.rot90(array, 1),
}
"""What a viewer does to the stored pixels, after the EXIF standard's table of orientations."""


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_exif_orientation_is_applied(orientation, form):
    image = Image.fromarray(noise(24, 10))
    exif = image.getexif()
    exif[ORIENTATION] = orientation
    options = {"quality": 95, "subsampling": 0} if form == "JPEG" else {}
    data = encoded(image, form, exif=exif, **options)
    stored = np.asarray(Image.open(io.BytesIO(encoded(image, form, **options))))
    np.testing.assert_array_equal(np.asarray(load_image(data)), UPRIGHT[orientation](stored))
    np.testing.assert_array_equal(np.asarray(load_image(Image.open(io.BytesIO(data)))), UPRIGHT[orientation](stored))


def test_orientations_beyond_the_standard_change_nothing():
    image = Image.fromarray(noise(24, 10))
    exif = image.getexif()
    for orientation in (0, 9, 200):
        exif[ORIENTATION] = orientation
        found = np.asarray(load_image(encoded(image, "PNG", exif=exif)))
        np.testing.assert_array_equal(found, np.asarray(image))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@settings(max_examples=60, deadline=None)
@given(exif=st.binary(max_size=60), prefix=st.sampled_from([b"", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0\x01\0"]))
def test_damaged_exif_does_not_lose_the_image(exif, prefix):
    """Cameras write odd EXIF. The pixels are there all the same, whichever way up."""
    data = encoded(Image.fromarray(noise(24, 10)), "JPEG", exif=b"Exif\0\0" + prefix + exif)
    assert sorted(load_image(data).size) == [10, 24]


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_several(form):
    frames = [Image.new("RGB", (12, 9), color) for color in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert (np.asarray(load_image(data)) == (200, 0, 0)).all()


# Forms.


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_form_of_one_image_gives_the_same_pixels(tmp_path, channels):
    array = noise(40, 25, channels)
    image = Image.fromarray(array)
    path = tmp_path / "picture with ünusual name.png"
    image.save(path)
    forms = [image, array, np.asfortranarray(array), path, str(path), path.read_bytes(), Image.open(path)]
    expected = OURS.pixels([image])
    for form in forms:
        np.testing.assert_array_equal(OURS.pixels([form]), expected)
    np.testing.assert_array_equal(OURS.pixels(forms), np.repeat(expected, len(forms), axis=0))


def test_the_file_is_let_go_of(tmp_path):
    """An image read from a path outlives the file."""
    path = tmp_path / "picture.png"
    Image.fromarray(noise(5, 5)).save(path)
    image = load_image(path)
    path.unlink()
    np.testing.assert_array_equal(np.asarray(image), noise(5, 5))


def test_the_given_image_is_not_changed():
    image = Image.fromarray(noise(9, 7, 4), "RGBA")
    before = image.copy()
    load_image(image)
    assert image.mode == "RGBA"
    assert image.tobytes() == before.tobytes()


# Refusals: an ImageError of one line that names the thing, and nothing else.

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


def test_more_pixels_than_allowed_are_refused_whatever_pillow_allows(monkeypatch):
    monkeypatch.setattr(image_files, "MAX_PIXELS", 999)
    with pytest.raises(ImageError, match=r"40 x 30 pixels, more than the 999 allowed"):
        load_image(FILES["PNG"])
    with pytest.raises(ImageError, match=r"given array: has 40 x 25 pixels"):
        load_image(noise(40, 25))


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
        "import sys; from blipvino.files.reading import load_image as load\n"
        "import blipvino.runtime.inputs.images as images\n"
        "print(load(images.Path(sys.argv[1])).size, images.load_image(sys.argv[1]).size)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout == "(9500, 9500) (9500, 9500)\n"
    assert done.stderr == ""


# Huge images.


@pytest.mark.parametrize("name", [*MODES, "I;16", "RGB with a transparent colour"])
def test_conversion_by_bands_gives_the_same_pixels(name, monkeypatch):
    image = MODES.get(name)
    if name == "I;16":
        image = Image.fromarray(np.random.default_rng(0).integers(0, 2**16, (17, 31), dtype=np.uint16))
    elif image is None:
        image = Image.fromarray(noise(31, 17))
        image.info["transparency"] = image.getpixel((3, 12))
    expected = np.asarray(load_image(image))
    monkeypatch.setattr(images, "_BAND_PIXELS", 100)  # three rows
    np.testing.assert_array_equal(np.asarray(load_image(image)), expected)


def photo(width, height):
    """Large shapes and grain, as photos have."""
    shapes = Image.fromarray(noise(width // 40, height // 40)).resize((width, height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(1).integers(-6, 7, (height, width, 3))
    return Image.fromarray((np.asarray(shapes) + grain).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_huge_jpeg_is_decoded_at_a_smaller_size(monkeypatch, orientation):
    image = photo(16 * SIZE, 9 * SIZE)
    exif = image.getexif()
    exif[ORIENTATION] = orientation
    data = encoded(image, "JPEG", quality=90, exif=exif)
    whole = OURS.pixels([data]).astype(int)
    monkeypatch.setattr(images, "DRAFT_PIXELS", 100_000)
    reduced = OURS.pixels([data]).astype(int)
    assert sorted(load_image(data, least=4 * SIZE).size) == [9 * SIZE // 2, 16 * SIZE // 2]
    assert 0 < np.abs(reduced - whole).max() <= 4
    assert np.abs(reduced - whole).mean() < 0.5
    assert sorted(load_image(data).size) == [9 * SIZE, 16 * SIZE]


def test_a_jpeg_is_decoded_whole_where_a_smaller_size_would_be_too_small(monkeypatch):
    data = encoded(photo(16 * SIZE, 8 * SIZE - 1), "JPEG")
    whole = OURS.pixels([data])
    monkeypatch.setattr(images, "DRAFT_PIXELS", 100_000)
    np.testing.assert_array_equal(OURS.pixels([data]), whole)


def test_jpegs_of_usual_cameras_are_as_upstream():
    image = Image.open(io.BytesIO(encoded(photo(6000, 4000), "JPEG")))
    np.testing.assert_array_equal(
        OURS.pixel_values([encoded(photo(6000, 4000), "JPEG")]), THEIRS([image], return_tensors="np")["pixel_values"]
    )


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peak memory is read from Linux's /proc")
def test_an_upright_rgb_file_is_held_once(tmp_path):
    """Peak memory, in a process of its own: a second copy of the pixels would show."""
    path = tmp_path / "large.png"
    Image.new("RGB", (8000, 8000)).save(path, compress_level=1)
    script = (
        "import re, sys; from blipvino.runtime.inputs.images import Path, load_image\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "before = peak(); image = load_image(sys.argv[1]); print(peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 1.5 * 8000 * 8000 * 4  # Pillow has four bytes for a pixel of RGB


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 3), bool),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((3, 4, 4), np.uint8)[:, :, :0],
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.array([["a"]], dtype=object),
    ],
    ids=lambda array: f"{array.dtype} {list(array.shape)}",
)
def test_other_arrays_are_refused(array):
    with pytest.raises(ImageError) as refusal:
        load_image(array)
    assert str(array.dtype) in str(refusal.value)
    assert str(list(array.shape)) in str(refusal.value)


@pytest.mark.parametrize("source", [None, 7, ["a.png"], {"path": "a.png"}, object()], ids=lambda s: type(s).__name__)
def test_other_types_are_refused(source):
    with pytest.raises(ImageError, match=type(source).__name__):
        load_image(source)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_images_without_pixels_are_refused(size):
    with pytest.raises(ImageError, match="PIL image"):
        OURS.pixels([Image.new("RGB", size)])


def test_closed_image_is_refused():
    image = Image.open(io.BytesIO(FILES["PNG"]))
    image.close()
    with pytest.raises(ImageError, match="PIL image"):
        load_image(image)
