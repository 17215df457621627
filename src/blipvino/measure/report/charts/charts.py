"""Charts as inline SVG that follow the page's width and colours.

Lengths along the horizontal axis are percentages and texts have the page's own sizes, so a chart is as readable on a
telephone as on a desk; colours are the page's variables (``report.css``), so it is so in the dark too. Names and
values stand above their marks: no gutter has to fit the longest name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blipvino.text.markup import Markup, element, join

ROOM = 74.0
"""Percent of the width that the longest bar takes; its value stands in the rest."""
BAR = 14
BAR_GAP = 3
TEXT = 18
ROW_GAP = 16
WHISKER = 26
AXIS = 24
MARGIN = 2.0
"""Percent that an axis keeps free on both sides."""


@dataclass(frozen=True)
class BarPair:
    """Two bars under one name: the original's and the compressed model's, each with its value in words."""

    name: str
    note: str
    values: tuple[float, float]
    texts: tuple[str, str]


@dataclass(frozen=True)
class Whisker:
    """A figure with its interval, under a name; ``strong`` sets it off from the others."""

    name: str
    text: str
    value: float
    low: float
    high: float
    strong: bool = False


def paired_bars(title: str, names: tuple[str, str], pairs: Sequence[BarPair]) -> Markup:
    """Bars from zero, the original's above the compressed model's, all on one scale.

    Args:
        title: what is shown, for those who do not see it.
        names: of the two models.
        pairs: from the top down, at least one.
    """
    longest = max(value for pair in pairs for value in pair.values) or 1.0
    row = TEXT + 2 * (BAR + BAR_GAP) + ROW_GAP
    rows = [_pair(pair, number * row, longest) for number, pair in enumerate(pairs)]
    told = "; ".join(f"{pair.name}: {names[0]} {pair.texts[0]}, {names[1]} {pair.texts[1]}" for pair in pairs)
    return _svg(title, told, len(pairs) * row - ROW_GAP, rows)


def _pair(pair: BarPair, top: int, longest: float) -> Markup:
    bars = []
    for place, (kind, value, text) in enumerate(zip(("original", "compressed"), pair.values, pair.texts, strict=True)):
        y = top + TEXT + place * (BAR + BAR_GAP)
        width = ROOM * value / longest
        bars.append(element("rect", x=0, y=y, width=f"{width:.2f}%", height=BAR, rx=2, class_=f"fill-{kind}"))
        bars.append(element("text", text, x=f"{width:.2f}%", dx=6, y=y + BAR - 3, class_="small"))
    return join([*_heading(pair.name, pair.note, top), *bars])


def _heading(name: str, note: str, top: int) -> Iterator[Markup]:
    yield element("text", name, x=0, y=top + 12, class_="name")
    yield element("text", note, x="100%", y=top + 12, class_="small end")


def whiskers(
    title: str, axis_names: tuple[str, str, str], rows: Sequence[Whisker], limit: float | None = None
) -> Markup:
    """Dots with their intervals over a common axis, with a line at zero and one at a limit.

    Args:
        title: what is shown, for those who do not see it.
        axis_names: what stands below the axis: at its low end, in the middle, at its high end.
        rows: from the top down, at least one.
        limit: where the dashed line stands; None draws none.
    """
    marks = [0.0, *(number for row in rows for number in (row.low, row.value, row.high)), limit or 0.0]
    axis = _Axis.around(min(marks), max(marks))
    row_height = TEXT + WHISKER
    bottom = len(rows) * row_height
    drawn = [
        *(_tick(axis, tick, bottom) for tick in axis.ticks()),
        _line(axis.place(0), 0, bottom, "zero"),
        *([] if limit is None else [_line(axis.place(limit), 0, bottom, "limit")]),
        *(_whisker(row, number * row_height, axis) for number, row in enumerate(rows)),
        *(
            element("text", name, x=x, y=bottom + AXIS + 14, class_=f"small {anchor}")
            for name, x, anchor in zip(axis_names, ("0%", "50%", "100%"), ("start", "middle", "end"), strict=True)
        ),
    ]
    told = "; ".join(f"{row.name}: {row.text}" for row in rows)
    ending = "" if limit is None else f" The dashed line is the limit, {limit:g}."
    return _svg(title, f"{told}.{ending}", bottom + AXIS + 20, drawn)


def _whisker(row: Whisker, top: int, axis: _Axis) -> Markup:
    y = top + TEXT + 5
    low, value, high = (f"{axis.place(number):.2f}%" for number in (row.low, row.value, row.high))
    return join(
        [
            *_heading(row.name, row.text, top),
            element("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"),
            *(element("line", x1=end, x2=end, y1=y - 4, y2=y + 4, class_="whisker") for end in (low, high)),
            element("circle", cx=value, cy=y, r=6 if row.strong else 4.5, class_="fill-compressed dot"),
        ]
    )


def _tick(axis: _Axis, tick: float, bottom: int) -> Markup:
    place = axis.place(tick)
    label = f"{tick:+.{axis.digits}f}" if round(tick, axis.digits) else "0"
    label = label.replace("-", "−")
    text = element("text", label, x=f"{place:.2f}%", y=bottom + 14, class_="small middle")
    return join([_line(place, 0, bottom, "grid"), text])


def _line(place: float, top: int, bottom: int, kind: str) -> Markup:
    return element("line", x1=f"{place:.2f}%", x2=f"{place:.2f}%", y1=top, y2=bottom, class_=kind)


@dataclass(frozen=True)
class _Axis:
    """A horizontal axis whose ends are ticks."""

    low: float
    high: float
    step: float

    @classmethod
    def around(cls, low: float, high: float) -> _Axis:
        """An axis with four to eight steps of 1, 2 or 5 times a power of ten, zero among them."""
        span = max(high - low, 1e-3)
        power = 10.0 ** math.floor(math.log10(span / 4))
        step = next(times * power for times in (1, 2, 5, 10) if span / (times * power) <= 6)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step)

    @property
    def digits(self) -> int:
        """Decimals that tell the ticks apart."""
        return max(0, -math.floor(math.log10(self.step) + 1e-9))

    def ticks(self) -> list[float]:
        """From the low end to the high end."""
        return [self.low + number * self.step for number in range(round((self.high - self.low) / self.step) + 1)]

    def place(self, value: float) -> float:
        """Percent of the width."""
        share = (value - self.low) / (self.high - self.low)
        return MARGIN + (100 - 2 * MARGIN) * share


def _svg(title: str, described: str, height: float, children: Sequence[Markup]) -> Markup:
    return element(
        "svg",
        element("title", title),
        element("desc", described),
        *children,
        role="img",
        width="100%",
        height=height,
        class_="chart",
    )
