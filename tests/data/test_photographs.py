"""The photographs of a command line, as what to calibrate on."""

import pytest
from listener import Listener
from pictures import noise
from PIL import Image

from blipvino.data import NaturalSource, PhotoSource, count_items, photo_source, take


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def photos(tmp_path):
    """40 files, of which every eighth cannot be read."""
    paths = []
    for number in range(40):
        path = tmp_path / f"photo {number:02}.{'jpg' if number % 2 else 'png'}"
        Image.fromarray(noise(24, 16, seed=number)).save(path)
        if number % 8 == 5:
            path.write_bytes(path.read_bytes()[:200])
        paths.append(path)
    return paths


def test_readable_photographs_are_the_samples(photos, listener):
    source = photo_source(photos, listener)
    good = tuple(path for number, path in enumerate(photos) if number % 8 != 5)
    assert source == PhotoSource(good) and source.name == "photos"
    *named, last = listener.said
    assert last == "Calibrating on 35 of 40 photographs that were given (5 cannot be read)"
    assert len(named) == 3 and all(line.startswith("Not calibrated on: ") and "photo" in line for line in named)
    taken = take(source, 300, seed=1, spread=True)
    assert len(taken) > 32 and count_items(taken) == 300
    assert {sample.image_id for sample in taken} <= set(map(str, good))
    assert taken[0].image().size == (24, 16)


def test_no_more_than_wanted_are_looked_at_and_the_seed_says_which(photos, listener):
    some = photo_source(photos, listener, least=4, most=6, seed=1)
    assert isinstance(some, PhotoSource) and len(some.paths) == 6
    assert list(some.paths) == sorted(some.paths)
    assert "Calibrating on 6 of 40 photographs" in listener.said[-1]
    assert photo_source(photos, listener, least=4, most=6, seed=1) == some
    assert photo_source(photos, listener, least=4, most=6, seed=2) != some


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "Calibrating on generated pictures: no photographs given"),
        (1, "Calibrating on generated pictures: 1 photograph given, fewer than the 32 that ranges take"),
        (31, "Calibrating on generated pictures: 31 photographs given, fewer than the 32 that ranges take"),
        (35, "35 photographs given (4 cannot be read), fewer than the 32 that ranges take"),
    ],
)
def test_generated_pictures_stand_in_for_too_few(photos, listener, count, said):
    assert photo_source(photos[:count], listener) == NaturalSource()
    assert listener.said[-1].endswith(said)


def test_a_photograph_that_is_named_again_counts_once(photos, listener):
    assert photo_source([str(path) for path in photos[:5]] * 20, listener) == NaturalSource()


def test_missing_files_and_folders_are_skipped(photos, listener, tmp_path):
    given = [*photos, tmp_path, tmp_path / "none.jpg"]
    source = photo_source(given, listener)
    assert len(source.paths) == 35
    assert "(7 cannot be read)" in listener.said[-1]


def test_large_jpegs_are_decoded_small_and_upright_as_they_were(tmp_path, listener):
    path = tmp_path / "large.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4096, 2304), "teal").save(path, exif=exif)
    (sample,) = take(PhotoSource((path,)), 1)
    image = sample.image()
    assert image.size == (2048, 1152) and image.getexif()[0x0112] == 6
