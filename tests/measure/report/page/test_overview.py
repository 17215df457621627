"""The report's beginning: its verdict is made of the figures."""

import pytest
from report_subjects import Page, report, timed

from blipvino.measure.report.page.overview import significance
from blipvino.measure.report.page.page import report_page
from blipvino.metrics.bootstrap import Estimate


def test_the_verdict_is_made_of_the_figures():
    page = Page(report_page(report()))
    assert "2.00 times less room than the FP16 original's: 5.0 MB instead of 10.0 MB" in page.text
    assert "99.6% [99.4, 99.8] of 100 questions as the original does" in page.text
    assert "accuracy drop of 0.40 [−0.60, 1.40] points" in page.text
    assert "captions an image at 1.50 times the original's speed and answers a question about as fast as" in page.text


@pytest.mark.parametrize("speed_up", [0.97, 0.966, 0.98, 1.0, 1.03])
def test_what_is_printed_as_three_percent_or_less_is_about_as_fast(speed_up):
    page = Page(report_page(timed(speed_up)))
    assert "captions an image about as fast as the original and answers a question about as fast as" in page.text
    assert "the original's speed" not in page.text


@pytest.mark.parametrize(("speed_up", "says"), [(0.95, "at 0.95 times the original's speed"), (1.04, "at 1.04 times")])
def test_more_than_three_percent_is_worth_a_word(speed_up, says):
    assert f"captions an image {says}" in Page(report_page(timed(speed_up))).text


@pytest.mark.parametrize(
    ("speed_up", "weights", "told"), [(0.97, 2_000_000, True), (1.2, 2_000_000, False), (0.97, 200_000_000, False)]
)
def test_a_small_model_that_gains_no_speed_is_told_to_be_too_small(speed_up, weights, told):
    assert ("5 million parameters is too small" in Page(report_page(timed(speed_up, weights))).text) == told


@pytest.mark.parametrize(
    ("drop", "says"),
    [
        (Estimate(0.02, 0.01, 0.03), "a loss beyond chance"),
        (Estimate(-0.02, -0.03, -0.01), "a gain beyond chance"),
        (Estimate(0.01, -0.01, 0.03), "not distinguishable from none"),
        (Estimate(0.0, 0.0, 0.0), "none on these questions"),
    ],
)
def test_a_drop_is_judged_by_its_interval(drop, says):
    assert significance(drop) == says
