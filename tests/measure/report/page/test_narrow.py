"""The report's page in a browser: as narrow as a telephone, and as wide as a desk."""

import pytest
from browsers import chromium, violations
from report_subjects import SEARCH, bundle, report

from blipvino.measure.report.page.page import report_page

BOXES = """[...document.querySelectorAll(".scroll")].map((box) => {
  const cue = box.querySelector(".cue");
  return [box.scrollWidth > box.clientWidth, cue.offsetHeight > 0, Number(getComputedStyle(cue).opacity)];
})"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_page(report(bundle=bundle(SEARCH))), encoding="utf-8")
    return path


@pytest.fixture
def shown(browser, file):
    """A function that shows the page so many pixels wide."""
    pages = []

    def show(width):
        pages.append(browser.new_page(viewport={"width": width, "height": 800}, reduced_motion="reduce"))
        pages[-1].goto(file.as_uri())
        return pages[-1]

    yield show
    for page in pages:
        page.close()


def test_tables_too_wide_for_a_telephone_say_so_until_they_are_at_their_end(shown):
    page = shown(360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    boxes = page.evaluate(BOXES)
    assert any(too_wide for too_wide, _, _ in boxes) and not all(too_wide for too_wide, _, _ in boxes)
    assert all(too_wide == said for too_wide, said, _ in boxes)
    assert all(opacity == 1 for too_wide, _, opacity in boxes if too_wide)
    page.evaluate("document.querySelectorAll('.scroll').forEach((box) => box.scrollTo(box.scrollWidth, 0))")
    gone = "(cue) => !cue.offsetHeight || getComputedStyle(cue).opacity === '0'"
    page.wait_for_function(f"[...document.querySelectorAll('.cue')].every({gone})")


def test_nothing_scrolls_on_a_desk(shown):
    assert not any(too_wide or said for too_wide, said, _ in shown(1280).evaluate(BOXES))


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_seriously_hard_to_use(shown, width):
    assert violations(shown(width)) == []
