"""Ranks."""

import numpy as np

from blipvino.metrics.recall import ranks


def test_ranks_count_what_is_better():
    scores = np.array([[0.1, 0.9, 0.5], [0.3, 0.2, 0.1], [0.5, 0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(ranks(scores, np.array([2, 2, 1])), [1, 2, 0])


def test_what_was_not_found_is_behind_everything():
    scores = np.array([[0.1, -np.inf, -np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(ranks(scores, np.array([1])), [4])
