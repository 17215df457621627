"""Scales of confidence: what is fitted to labelled texts, also where they say little."""

import math

import numpy as np
import pytest

from blipvino.metrics.confidence import ConfidenceScale, fit_scale, sequence_logit
from blipvino.metrics.reliability import bin_statistics, calibration_error


def labelled(temperature, offset, count=20_000, seed=0, spread=3.0):
    """Logarithms of probabilities of texts, and whether they are right, of a model whose scale is known."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(1.0, spread, count)
    right = rng.random(count) < 1 / (1 + np.exp(-(logits / temperature + offset)))
    return -np.logaddexp(0, -logits), right.astype(float)


def error(confidences, right):
    return float(calibration_error(bin_statistics(confidences, right).sum(axis=0)))


def test_the_logit_of_a_text_is_that_of_its_probability():
    np.testing.assert_allclose(sequence_logit(np.log([0.5, 0.9, 1e-9])), [0, math.log(9), math.log(1e-9)], atol=1e-8)
    assert np.isfinite(sequence_logit([0.0, -1e9, -1e-30, 1e-6])).all()


@pytest.mark.parametrize(("temperature", "offset"), [(1.0, 0.0), (2.5, -0.5), (0.6, 1.0), (4.0, 2.0)])
def test_a_known_scale_is_found(temperature, offset):
    logprobs, right = labelled(temperature, offset)
    found = fit_scale(logprobs, right)
    assert found.temperature == pytest.approx(temperature, rel=0.08)
    assert found.offset == pytest.approx(offset, abs=0.1)


def test_a_model_that_is_often_wrong_is_less_sure_on_other_samples():
    """Texts that come to 0.9 and are right half of the time: no temperature alone reaches that, since 0.9 is above."""
    known, other = (labelled(3.0, -1.2, seed=seed, spread=1.5, count=count) for seed, count in ((1, 300), (2, 20_000)))
    scale = fit_scale(*known)
    raw = error(np.exp(other[0]), other[1])
    fitted = error([scale.confidence(logprob) for logprob in other[0]], other[1])
    assert raw > 0.2
    assert fitted < 0.05


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 0.98, 1.0), (0.0, 0.0, 0.02)])
def test_samples_that_are_all_right_or_all_wrong_leave_it_finite(share, least, most):
    logprobs = np.log(np.random.default_rng(0).uniform(0.3, 0.95, 300))
    scale = fit_scale(logprobs, np.full(300, share))
    assert all(least <= scale.confidence(logprob) <= most for logprob in np.log([0.4, 0.9]))
    sure = [scale.confidence(logprob) for logprob in np.log([0.2, 0.5, 0.9, 0.99])]
    assert sure == sorted(sure)


def test_a_likelier_text_is_never_the_less_sure_one():
    logprobs, right = labelled(1.0, 0.0, count=500)
    scale = fit_scale(logprobs, 1 - right)
    sure = [scale.confidence(logprob) for logprob in (-9.0, -3.0, -0.5, -0.01)]
    assert sure == sorted(sure)
    assert sure[0] == pytest.approx(sure[-1], abs=0.1)


def test_accuracies_between_0_and_1_are_fitted_too():
    scale = fit_scale(np.full(500, math.log(0.9)), np.full(500, 0.6))
    assert scale.confidence(math.log(0.9)) == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("numbers", [(0.0, 1.0), (-1.0, 0.0), (math.nan, 0.0), (1.0, math.inf), (math.inf, 0.0)])
def test_numbers_that_scale_nothing_are_refused(numbers):
    with pytest.raises(ValueError, match="scale no confidence"):
        ConfidenceScale(*numbers)


def test_without_change_confidence_is_the_probability_itself():
    assert ConfidenceScale(1.0, 0.0).confidence(math.log(0.3)) == pytest.approx(0.3)
