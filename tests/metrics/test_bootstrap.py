"""Intervals by resampling."""

import math

import numpy as np
import pytest

from blipvino.metrics.bootstrap import estimate, resampled_sums


def mean(sums):
    return sums[..., 0] / sums[..., 1]


def test_an_interval_of_single_questions_is_that_of_a_proportion():
    right = np.random.default_rng(1).random(2000) < 0.8
    rows = np.stack([right, np.ones(2000)], axis=1)
    found = estimate(mean, rows, resampled_sums(rows, seed=0))
    error = 1.96 * math.sqrt(right.mean() * (1 - right.mean()) / 2000)
    assert found.value == pytest.approx(right.mean())
    assert (found.low, found.high) == pytest.approx((right.mean() - error, right.mean() + error), abs=2e-3)


def test_questions_of_one_image_widen_the_interval():
    right = np.random.default_rng(1).random(200) < 0.8
    alike = np.stack([10 * right, np.full(200, 10)], axis=1)  # ten questions an image, all right or all wrong
    found = estimate(mean, alike, resampled_sums(alike, seed=0))
    single = estimate(mean, alike / 10, resampled_sums(alike / 10, seed=0))
    assert (found.low, found.high) == (single.low, single.high)


def test_differences_on_the_same_images_are_paired():
    rng = np.random.default_rng(2)
    first = rng.random(500)
    rows = np.stack([first, first - 0.1, np.ones(500)], axis=1)  # always worse by the same
    resampled = resampled_sums(rows, seed=3)
    drop = estimate(lambda sums: (sums[..., 0] - sums[..., 1]) / sums[..., 2], rows, resampled)
    assert (drop.value, drop.low, drop.high) == pytest.approx((0.1, 0.1, 0.1))


def test_draws_depend_on_the_seed_and_not_on_what_is_summed():
    rows = np.random.default_rng(0).random((50, 3))
    assert np.array_equal(resampled_sums(rows, 5, 20), resampled_sums(rows, 5, 20))
    assert np.allclose(resampled_sums(rows, 5, 20)[:, 1:], resampled_sums(rows[:, 1:], 5, 20))
    assert not np.allclose(resampled_sums(rows, 5, 20), resampled_sums(rows, 6, 20))


def test_resamples_that_hold_nothing_do_not_count():
    rows = np.zeros((20, 2))
    rows[0] = 1, 1  # the only image with such a question: often not drawn
    found = estimate(mean, rows, resampled_sums(rows, seed=0))
    assert (found.value, found.low, found.high) == (1, 1, 1)
