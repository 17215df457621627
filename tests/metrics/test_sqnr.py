"""The fidelity of what is computed, beside values computed by hand."""

import json
import math

import numpy as np
import pytest

from blipvino.metrics.sqnr import Fidelity


def test_fidelity_by_hand():
    error = Fidelity.of([3.0, 4.0], [3.0, 3.0])
    assert error.noise_to_signal == pytest.approx(1 / 25)
    assert error.sqnr == pytest.approx(13.9794, abs=1e-4)
    assert error.cosine == pytest.approx(21 / (5 * math.sqrt(18)))
    assert Fidelity.of([1, 2], [2, 4]).cosine == pytest.approx(1)  # an error of scale
    assert Fidelity.of([1, 0], [1, 0]).sqnr == math.inf
    assert Fidelity.of([0, 0], [1, 0]).sqnr == -math.inf
    assert error + error == Fidelity.of([3.0, 4.0, 3.0, 4.0], [3.0, 3.0, 3.0, 3.0])
    assert Fidelity.from_json(json.loads(json.dumps(error.to_json()))) == error


def test_a_bit_is_worth_six_decibels():
    values = np.random.default_rng(0).uniform(-1, 1, 10_000)
    coarse, fine = (Fidelity.of(values, np.round(values * levels) / levels).sqnr for levels in (64, 128))
    assert fine - coarse == pytest.approx(6.02, abs=0.1)
