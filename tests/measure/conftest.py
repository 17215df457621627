"""What is measured of bundles, for all tests of measurements."""

import pytest
from diagnosis_subjects import diagnosed
from evaluation_subjects import OPTIONS, quiet

from blipvino.measure.evaluation.evaluate import evaluate_bundle


@pytest.fixture(scope="session")
def done(demo, int8, tmp_path_factory):
    """An evaluation, and its folder."""
    folder = tmp_path_factory.mktemp("done")
    return evaluate_bundle(int8, "demo:test", OPTIONS, quiet(folder), original=demo.bundle), folder


@pytest.fixture(scope="session")
def diagnosis(tiny_int8):
    """A diagnosis of the tiny checkpoint in 8 bits."""
    return diagnosed(tiny_int8)
