"""Expected calibration error, risk and coverage: worked by hand, and what their definitions demand."""

import numpy as np
import pytest

from blipvino.metrics.reliability import (
    BINS,
    area_under_risk,
    bin_statistics,
    bins_of,
    border_of,
    calibration_error,
    kept_weights,
)


def error(confidences, right):
    return float(calibration_error(bin_statistics(confidences, right).sum(axis=0)))


def test_one_bin_worked_by_hand():
    assert error([0.8] * 10, [1] * 6 + [0] * 4) == pytest.approx(0.2)
    assert error([0.75] * 4, [1, 1, 1, 0]) == pytest.approx(0)


def test_bins_worked_by_hand():
    """Fifteen bins of two texts: one that is right and one that is wrong, so that each is off by |confidence - 0.5|."""
    confidences = np.repeat(np.linspace(0.1, 0.9, BINS), 2)
    assert sorted(np.bincount(bins_of(confidences), minlength=BINS)) == [2] * BINS
    assert error(confidences, [0, 1] * BINS) == pytest.approx(np.abs(np.linspace(0.1, 0.9, BINS) - 0.5).mean())


def test_bins_have_equal_mass():
    confidences = np.random.default_rng(0).beta(20, 1, 1500)
    counts = np.bincount(bins_of(confidences), minlength=BINS)
    assert counts.sum() == 1500
    assert set(counts) == {100}


def test_the_equally_sure_are_in_one_bin():
    confidences = np.array([0.9] * 50 + [0.99] * 50)
    bins = bins_of(confidences)
    assert len(set(bins[:50])) == len(set(bins[50:])) == 1
    order = np.random.default_rng(0).permutation(100)
    right = np.arange(100) % 3 == 0
    assert error(confidences[order], right[order]) == pytest.approx(error(confidences, right))


def test_errors_of_many_sums_at_once():
    rows = bin_statistics([0.2, 0.4, 0.9], [0, 1, 1])
    together = calibration_error(np.stack([rows.sum(axis=0), rows[:1].sum(axis=0)]))
    assert together[1] == pytest.approx(0.2)
    assert together[0] == pytest.approx((0.2 + 0.6 + 0.1) / 3)


def test_a_well_calibrated_model_has_little_error():
    rng = np.random.default_rng(3)
    confidences = rng.random(100_000)
    assert error(confidences, rng.random(100_000) < confidences) < 0.01


def test_what_is_kept_is_the_surest():
    confidences = [0.1, 0.9, 0.5, 0.7]
    assert kept_weights(confidences, 0.5).tolist() == [0, 1, 0, 1]
    assert kept_weights(confidences, 1.0).tolist() == [1, 1, 1, 1]
    assert (border_of(confidences, 0.5), border_of(confidences, 1.0)) == (0.7, 0.1)
    assert border_of(confidences, 0.01) == 0.9


def test_the_equally_sure_at_the_border_count_in_part():
    weights = kept_weights([0.9, 0.5, 0.5, 0.5, 0.5], 0.6)
    assert weights.tolist() == [1, 0.5, 0.5, 0.5, 0.5]
    assert kept_weights([0.5] * 7, 0.3).sum() == pytest.approx(2.1)


def test_the_area_worked_by_hand():
    """Surest first: right, wrong, right, so errors of 0, 1/2 and 1/3."""
    assert area_under_risk([0.2, 0.9, 0.5], [1, 1, 0]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_the_area_of_equally_sure_texts_is_their_error():
    assert area_under_risk([0.5] * 8, [1, 0] * 4) == pytest.approx(0.5)


def test_a_better_order_has_less_area():
    right = np.array([1] * 8 + [0] * 2)
    falling = np.linspace(1, 0, 10)
    assert area_under_risk(falling, right) < area_under_risk(falling[::-1], right)
