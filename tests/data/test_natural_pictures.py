"""Generated pictures: the same ones by the same seed, and what they have in common with photographs."""

import numpy as np
import pytest

from blipvino.data.natural_pictures import SIZES, Camera, natural_picture, one_over_f

PICTURES = 24


@pytest.fixture(scope="module")
def pictures():
    return [natural_picture(seed) for seed in range(PICTURES)]


def test_a_picture_is_decided_by_its_seed(pictures):
    assert np.array_equal(natural_picture(3), pictures[3])
    assert not np.array_equal(natural_picture(4, (96, 96)), natural_picture(5, (96, 96)))
    for picture in pictures:
        assert picture.dtype == np.uint8 and picture.shape[2] == 3
        assert (picture.shape[1], picture.shape[0]) in SIZES
    assert len({picture.shape for picture in pictures}) > 2


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (40, 40), (384, 384)])
def test_any_size_can_be_asked_for(size):
    pixels = natural_picture(0, size)
    assert pixels.shape == (size[1], size[0], 3)


def test_power_falls_with_frequency_as_asked():
    size, exponent = 256, 1.2
    power = np.abs(np.fft.rfft2(one_over_f((size, size), exponent, np.random.default_rng(0)))) ** 2
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    rings = [(radius > at / 1.2) & (radius < at * 1.2) for at in (0.02, 0.05, 0.12, 0.3)]
    slope = np.polyfit(np.log([0.02, 0.05, 0.12, 0.3]), [np.log(power[ring].mean()) for ring in rings], 1)[0]
    assert slope == pytest.approx(-2 * exponent, abs=0.25)


def test_pictures_have_the_spectrum_of_photographs(pictures):
    slopes = []
    for picture in pictures:
        grey = picture[:256, :256].mean(axis=-1) * np.outer(np.hanning(256), np.hanning(256))[: len(picture)]
        power = np.abs(np.fft.rfft2(grey - grey.mean())) ** 2
        radius = np.hypot(np.fft.fftfreq(grey.shape[0])[:, None], np.fft.rfftfreq(256)[None])
        low, high = (power[(radius > a) & (radius < b)].mean() for a, b in ((0.02, 0.04), (0.2, 0.4)))
        slopes.append(np.log(high / low) / np.log(10))
    assert -3 < np.mean(slopes) < -1.4  # of photographs about -2


def test_neighbours_are_alike_but_for_edges(pictures):
    for picture in pictures:
        steps = np.diff(picture.mean(axis=-1), axis=1)
        kurtosis = (steps**4).mean() / (steps**2).mean() ** 2
        assert kurtosis > 4  # Gaussian noise has 3, photographs have ten and more


def test_light_is_spread_and_most_of_it_is_grey(pictures):
    means = [picture.mean() for picture in pictures]
    assert 80 < np.mean(means) < 140 and np.std(means) > 10
    assert 35 < np.mean([picture.std() for picture in pictures]) < 70
    red, green, blue = np.concatenate([picture.reshape(-1, 3) for picture in pictures]).astype(float).T
    lightness, redness, yellowness = red + green + blue, red - green, (red + green) / 2 - blue
    assert np.std(lightness) / 3 > np.std(yellowness) > np.std(redness) > 5
    some_white, some_black = (np.mean([np.any(picture == end) for picture in pictures]) for end in (255, 0))
    assert some_white > 0.5 and some_black > 0.2


def test_a_camera_decides_how_bright_a_picture_is():
    dark, bright = (natural_picture(1, (64, 64), Camera(at, 0.6, 0.4, (0.0, 0.0), 1.0)) for at in (0.05, 0.6))
    assert dark.mean() + 60 < bright.mean()
    grey = natural_picture(1, (64, 64), Camera(0.2, 0.6, 0.0, (0.0, 0.0), 0.0)).astype(int)
    assert np.ptp(grey, axis=-1).max() == 0
