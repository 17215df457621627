"""The built site: axe finds nothing serious, on a phone and on a wide screen; nothing is loaded from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from browsers import chromium, violations
from documentation.code_blocks import ROOT, pages

SOME = (
    "index.html",
    "start.html",
    "troubleshooting.html",
    "compare.html",
    "http-api.html",
    "architecture.html",
    "optimize-blip.html",
)
MADE = (
    "cli.html",
    "http-api.html",
    "changelog.html",
    "optimize-blip.html",
    "search-photos.html",
    "serve-and-batch.html",
)
WIDTHS = (360, 1280)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert built.returncode == 0, built.stderr
    return folder


def test_links_are_called_as_their_pages_are(site):
    """In the repository by their files, which somebody who reads them there looks for."""
    text = (site / "performance.html").read_text()
    assert ">Classes of CPU</a>" in text and ">cpus.md</a>" not in text


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def look(browser, site, name, width, scheme):
    """Open a page as a file, as somebody does who has built it; what axe-core finds, and what went wrong in it."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or wrong.append(request.url))
    page.goto((site / name).as_uri())
    found = violations(page)
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        wrong.append("the page itself scrolls sideways")
    context.close()
    return found + wrong


def test_every_page_is_in_it(site):
    assert {f"{page.stem}.html" for page in pages() if page.name != "README.md"} <= {
        p.name for p in site.glob("*.html")
    }
    assert all((site / name).stat().st_size > 10_000 for name in MADE)
    assert "--max-new-tokens" in (site / "cli.html").read_text()
    assert "/v1/caption" in (site / "http-api.html").read_text()
    assert "from_pretrained" in (site / "python.html").read_text()


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_hard_to_use(browser, site, name, width):
    assert look(browser, site, name, width, "light") == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_hard_to_use_on_any_page(browser, site, width, scheme):
    # 404.html is for servers alone: by itself it finds none of its scripts.
    names = sorted(path.name for path in site.glob("*.html") if path.name != "404.html")
    found = {name: look(browser, site, name, width, scheme) for name in names}
    assert {name: what for name, what in found.items() if what} == {}
