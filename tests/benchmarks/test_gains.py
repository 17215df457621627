"""The table of gains in the README and the documentation is that of the figures that were measured."""

import pytest

from benchmarks.gains import BEGIN, PAGES, ROOT, SOURCES, gains_table, with_gains


@pytest.fixture(scope="module")
def table():
    return gains_table(*(page.read_text(encoding="utf-8") for page in SOURCES))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_have_the_table_of_the_figures(page, table):
    text = page.read_text(encoding="utf-8")
    assert with_gains(text, table) == text


def test_it_has_a_row_for_ours_in_each_class_that_was_measured(table):
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert table.count("| blipvino INT8") == page.count("### Models on disk") > 1


def test_how_often_each_is_right_stands_beside_what_it_takes(table):
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]
    ours = [row for row in cells if row[1].startswith("blipvino INT8")]
    assert all(float(answers) > 99 and float(captions) > 99 for *_, answers, captions in ours)


def test_a_page_without_a_place_for_it_is_refused(table):
    with pytest.raises(ValueError, match=BEGIN):
        with_gains("nothing", table)
