"""Anchors of headings as GitHub makes them, so that links work there and on the site."""

from __future__ import annotations

import re


def github_anchor(heading: str, separator: str) -> str:
    """The anchor of a heading: its words in lower case without punctuation, with hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", separator)
