"""HTML and SVG as Python values: what is not markup already is escaped, so that no text of the data becomes any."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"img", "meta", "br", "rect", "line", "circle", "path"})
"""Elements without content; SVG's close themselves."""
_SVG = frozenset({"rect", "line", "circle", "path"})


class Markup(str):
    """Text that is markup: `element` puts it in as it is. Only `element`, `join` and trusted constants make it."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: str | float | None) -> Markup:
    """An element.

    Args:
        tag: its name.
        children: `Markup` as it is, any other text escaped; None is nothing.
        attributes: an underscore stands for a hyphen, a trailing one is dropped (``class_``); None leaves one out.
    """
    named = ((name.removesuffix("_").replace("_", "-"), value) for name, value in attributes.items())
    listed = "".join(f' {name}="{escape(str(value))}"' for name, value in named if value is not None)
    if tag in _VOID:
        return Markup(f"<{tag}{listed}{'/' if tag in _SVG else ''}>")
    return Markup(f"<{tag}{listed}>{join(children)}</{tag}>")


def join(children: Iterable[str | None], separator: str = "") -> Markup:
    """Children one after the other, escaped unless they are markup."""
    return Markup(separator.join(_escaped(child) for child in children if child is not None))


def _escaped(child: str) -> str:
    return child if isinstance(child, Markup) else escape(child, quote=False)
