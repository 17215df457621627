"""The table of gains in the README and the documentation is that of the figures that were measured."""

import pytest

from benchmarks.gains import BEGIN, PAGES, ROOT, gains_table, with_gains


@pytest.fixture(scope="module")
def table():
    return gains_table((ROOT / "docs/performance.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_have_the_table_of_the_figures(page, table):
    text = page.read_text(encoding="utf-8")
    assert with_gains(text, table) == text


def test_it_has_a_row_for_ours_in_each_class_that_was_measured(table):
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert table.count("| blipvino INT8") == page.count("### Models on disk") > 1


def test_a_page_without_a_place_for_it_is_refused(table):
    with pytest.raises(ValueError, match=BEGIN):
        with_gains("nothing", table)
