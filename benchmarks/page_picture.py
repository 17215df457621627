"""The README's picture: the server's page on the demo model, with the caption of a scene and answers to questions.

It needs Chromium (`make browser`), and the demo's bundle; the same pictures and texts come each time.

python -m benchmarks.page_picture docs/page.png
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

QUESTIONS = ("how many objects are there?", "what color is the star?")
_WIDTH, _HEIGHT, _SCALE = 1100, 540, 2
_PATIENCE_MS, _SETTLED_MS = 120_000, 500


def take(picture: Path, sample: int) -> None:
    """Write the picture, as PNG.

    Args:
        picture: the file.
        sample: which of the page's sample scenes is shown, from 1.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise SystemExit("there is no Chromium here; `make browser` installs it")
    with _server() as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        size = {"width": _WIDTH, "height": _HEIGHT}
        page = browser.new_page(viewport=size, device_scale_factor=_SCALE, color_scheme="light")  # type: ignore[arg-type]
        page.set_default_timeout(_PATIENCE_MS)
        page.goto(url)
        _converse(page, sample)
        # How long it took here is left out, and all of it is seen.
        for shown in page.locator(".answer .time, .samples").all():
            shown.evaluate("element => { element.style.display = 'none' }")
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        page.wait_for_timeout(_SETTLED_MS)
        page.screenshot(path=picture)
        browser.close()
    with Image.open(picture) as image:  # few colours: a third of the bytes
        image.convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(picture, optimize=True)


def _converse(page: Page, sample: int) -> None:
    """Choose a sample, wait for its caption, and ask."""
    page.get_by_role("button", name=f"Use sample {sample}", exact=True).click()
    _await_answer(page, 0)
    for turn, question in enumerate(QUESTIONS, 1):
        page.get_by_label("Question about the picture").fill(question)
        page.keyboard.press("Enter")
        _await_answer(page, turn)


def _await_answer(page: Page, turn: int) -> None:
    """Wait until what is said in a turn is whole: then its time stands beside it."""
    time = page.locator("#turns > li").nth(turn).locator(".answer .time")
    expect(time).to_have_text(re.compile(r"ms|\d s"), timeout=_PATIENCE_MS)


@contextmanager
def _server() -> Iterator[str]:
    """A server of the demo in a process of its own; its address."""
    command = [sys.executable, "-m", "blipvino", "serve", "demo", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                found = re.search(r"at (http://\S+)/", line)
                if found:
                    yield found[1]
                    break
        finally:
            process.terminate()


def main() -> None:
    """Parse the command line and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, nargs="?", default=Path(__file__).parents[1] / "docs/page.png")
    parser.add_argument("--sample", type=int, default=3, help="which of the page's scenes")
    options = parser.parse_args()
    take(options.picture, options.sample)


if __name__ == "__main__":
    main()
