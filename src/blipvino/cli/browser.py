"""Showing a page in the browser of a graphical desktop."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

TEXT_BROWSERS = frozenset({"www-browser", "links", "elinks", "lynx", "w3m"})
"""What Python's webbrowser may choose that takes the terminal over."""


def open_page(page: Path) -> bool:
    """Show a file in a browser; returns as `open_address`."""
    return open_address(page.resolve().as_uri())


def open_address(address: str) -> bool:
    """Show what is at a URL in a browser, where there is a display and a browser for it.

    Returns:
        Whether a browser was asked to.
    """
    if not has_display():
        return False
    try:
        browser = webbrowser.get()
    except webbrowser.Error:  # there is none, which the caller is told
        return False
    if Path(getattr(browser, "name", "")).name in TEXT_BROWSERS:
        return False
    return browser.open(address)


def has_display() -> bool:
    """Whether windows can be shown: always on macOS and Windows, elsewhere where X11 or Wayland runs."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
