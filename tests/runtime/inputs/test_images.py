"""Pixels as transformers' `BlipImageProcessorPil` makes them, from anything that can be called an image."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import encoded, noise
from PIL import Image

from blipvino import CheckpointError, ImageError
from blipvino.checkpoint.config import parse_preprocessor
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


# Modes. What upstream converts, blipvino converts alike


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


# EXIF, animations


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


# Forms


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


# Huge images


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


# Refusals


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
    image = Image.open(io.BytesIO(encoded(Image.fromarray(noise(40, 30)), "PNG")))
    image.close()
    with pytest.raises(ImageError, match="PIL image"):
        load_image(image)
