"""Names of files, and whatever else comes from outside, as text that can be printed."""

from __future__ import annotations

import re

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end lines, or that terminals obey."""


def one_line(text: str) -> str:
    """A text whose control characters are escaped as Python escapes them."""
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def printable(text: str) -> str:
    """One line that UTF-8 has: of a file's name, bytes that are no text are question marks."""
    return one_line(text).encode("utf-8", "replace").decode("utf-8")
