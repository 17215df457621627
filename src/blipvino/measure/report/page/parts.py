"""The parts that the report's sections are made of: sections, tables, figures, notes, commands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from blipvino.text.markup import Markup, element
from blipvino.text.tables import TextTable

_FIGURE = re.compile(r"-?[\d.,]+( to -?[\d.,]+)?")


@dataclass(frozen=True)
class Section:
    """A part of the report, with its heading and its name in links."""

    name: str
    title: str
    body: Markup


def typeset(text: str) -> str:
    """Signs of numbers as minus signs, and intervals that no line break parts."""
    return re.sub(r" ?\[−?[\d.]+, −?[\d.]+\]", _unbroken, re.sub(r"(?<![\w.])-(?=\d)", "−", text))


def _unbroken(found: re.Match[str]) -> str:
    return found[0].replace(" ", "\N{NO-BREAK SPACE}")


def table(content: TextTable) -> Markup:
    """A table in a box of its own, which scrolls where the page is too narrow for it, and then says so."""
    kind = "numbers" if content.numbers else "words"
    titled = any(content.columns)
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in content.columns)))
    return element(
        "div",
        element("p", "scroll for more →", class_="cue", aria_hidden="true"),
        element(
            "table",
            element("caption", content.title),
            head if titled else None,
            element("tbody", *map(_row, content.rows)),
            class_=kind,
        ),
        class_="scroll",
        role="region",
        aria_label=content.title,
        tabindex=0,
    )


def _row(cells: tuple[str, ...]) -> Markup:
    first, *others = cells
    kind = "total" if first == "all" else None
    return element(
        "tr",
        element("th", first, scope="row"),
        *(element("td", typeset(cell), class_="figure" if _FIGURE.fullmatch(cell) else None) for cell in others),
        class_=kind,
    )


def figure(chart: Markup, caption: str) -> Markup:
    """A chart with what it shows."""
    return element("figure", chart, element("figcaption", caption), class_="panel")


def legend(names: tuple[str, str]) -> Markup:
    """Which colour is which model."""
    keys = (
        element("li", element("span", class_=f"key back-{kind}", aria_hidden="true"), f"{title}: {name}")
        for kind, title, name in zip(("original", "compressed"), ("original", "compressed"), names, strict=True)
    )
    return element("ul", *keys, class_="legend")


def note(*text: str) -> Markup:
    """A footnote."""
    return element("p", *text, class_="note")


def shortfall_note(told: str | None) -> Markup | None:
    """That there was less than was asked for, where there was."""
    return None if told is None else element("p", f"{told}.", class_="shortfall")


def command(line: str) -> Markup:
    """A command; one click selects all of it."""
    return element("pre", element("code", line), tabindex=0)
