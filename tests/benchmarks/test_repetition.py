"""The share of n-grams that came before."""

import pytest

from benchmarks.repetition import repeated


def test_repeated_ngrams_are_counted_within_a_text():
    once, again = ("a", "b", "c"), ("a", "b", "a", "b")
    assert repeated([once], 2) == 0
    assert repeated([again], 2) == pytest.approx(1 / 3)
    assert repeated([again], 1) == pytest.approx(1 / 2)
    assert repeated([once, again], 2) == pytest.approx(1 / 5)
    assert repeated([once, once], 2) == 0
    assert repeated([("a",)], 2) == 0
