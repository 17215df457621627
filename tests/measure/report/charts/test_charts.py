"""The report's charts: what they say, and their axes."""

import re
from pathlib import Path

import pytest
from report_subjects import Page, report

from blipvino.measure.report.charts.charts import Whisker, whiskers
from blipvino.measure.report.page.page import report_page


def test_every_chart_says_what_it_shows():
    page = Page(report_page(report()))
    charts = page.all("svg")
    assert len(charts) >= 3
    assert all(chart["role"] == "img" for chart in charts)
    assert "vision: FP16 2.0 MB, int8 1.0 MB" in page.text
    assert "count: 3.00 [2.00, 4.00]" in page.text
    assert "The dashed line is the limit, 0.5." in page.text


@pytest.mark.parametrize("reach", [0.0, 0.003, 0.4, 7.1, 60.0])
def test_an_axis_holds_all_that_is_drawn_and_has_a_few_ticks(reach):
    rows = [Whisker("one", "", 0.1, 0.1 - reach, 0.1 + reach)]
    page = Page(f"<main>{whiskers('Drop', ('low', 'middle', 'high'), rows, 0.5)}</main>")
    ends = [float(line[name].rstrip("%")) for line in page.all("line") for name in ("x1", "x2")]
    assert min(ends) >= 0
    assert max(ends) <= 100
    assert 2 <= sum(line["class"] == "grid" for line in page.all("line")) <= 9


def test_no_line_of_the_axis_crosses_a_label():
    """Labels have a rim in the ground's colour, which covers what is drawn before them: all lines that span rows."""
    style = (Path(report_page.__code__.co_filename).parent / "report.css").read_text()
    assert re.search(r"\.chart text \{[^}]*paint-order: stroke; stroke: var\(--panel\);", style)
    rows = [Whisker(name, "0.10 [0.00, 0.20]", 0.1, 0.0, 0.2) for name in ("a question of many words", "two")]
    page = Page(f"<main>{whiskers('Drop', ('low', 'middle', 'high'), rows, 0.5)}</main>")
    kinds = [attributes.get("class") for _, attributes in page.tags]
    spanning = [place for place, kind in enumerate(kinds) if kind in ("grid", "zero", "limit")]
    assert len(spanning) > 3 and max(spanning) < kinds.index("name")
