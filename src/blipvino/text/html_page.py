"""An HTML file that stands alone: it loads nothing, has no script, and is for light and dark, wide and narrow."""

from __future__ import annotations

from blipvino.text.markup import Markup, element


def html_page(title: str, style: str, *body: str) -> str:
    """The file's text.

    Args:
        title: of the window.
        style: its style sheet.
        body: what it shows.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )
    return f"<!doctype html>\n{element('html', head, element('body', *body), lang='en')}\n"
