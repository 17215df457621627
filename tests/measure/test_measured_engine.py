"""The engine that a measurement runs."""

import pytest

from blipvino import EngineOptions
from blipvino.measure.measured_engine import measured_engine


@pytest.mark.parametrize(("arithmetic", "selftest"), [("auto", "warn"), ("float", "off"), ("simulated", "off")])
def test_arithmetic_that_is_asked_for_is_measured_whatever_the_self_test_says(arithmetic, selftest):
    expected = EngineOptions("f32", arithmetic=arithmetic, selftest=selftest)
    assert measured_engine("f32", arithmetic) == expected
