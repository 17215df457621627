"""Debian's Chromium, as a person without a mouse or with one uses it, and axe-core, which tells what is hard to use."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

AXE = Path(__file__).parents[1] / ".browser/node_modules/axe-core/axe.min.js"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # CI runs as root
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_SERIOUS = ("serious", "critical")


@contextmanager
def chromium():
    """The browser; tests are skipped where there is none. Nothing of asyncio may run in this thread meanwhile."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the page's tests need playwright")
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium here; `make browser` installs it")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(browser, url, **options):
    """A page in a browser that has never been here; in the end, nothing may have been refused or gone wrong in it."""
    context = browser.new_context(base_url=url, locale="en-US", permissions=["camera"], **options)
    context.set_default_timeout(30_000)
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("request", lambda request: request.url.startswith((url, "data:", "blob:")) or wrong.append(request.url))
    page.goto("/")
    yield page
    context.close()
    # A refused request is written there by the browser itself.
    assert [text for text in wrong if not text.startswith("Failed to load resource")] == []


def violations(page):
    """What axe-core finds serious, each with the elements that it finds it in."""
    if not AXE.is_file():
        pytest.skip("there is no axe-core here; `make browser` fetches it")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document)")
    assert len(found["passes"]) > 10
    return [(each["id"], each["nodes"][0]["target"]) for each in found["violations"] if each["impact"] in _SERIOUS]
