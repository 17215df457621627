"""The picture of a diagnosis: every layer's SQNR, a panel for each graph, as SVG for a file or for within a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from blipvino.measure.diagnosis.diagnosis import Diagnosis, GraphError, LayerError
from blipvino.measure.report.diagnosis_tables import decibels, summary
from blipvino.metrics.sqnr import Fidelity

WIDTH, LEFT, RIGHT = 400, 40, 12
HEADER, PANEL, PANEL_TITLE, PANEL_FOOT, ROW = 52, 110, 26, 30, 20
LETTER = 7
"""About as wide as a letter."""
STEP = 10
"""Decibels between grid lines."""
NAMED = 5
"""The worst layers, which are numbered, and named below."""
STYLE = """
.lc {
  --ink: #1f2328; --soft: #59636e; --grid: #d1d9e0; --band: #f3f5f7; --ground: #ffffff;
  --dot: #7a35b0; --run: #57606a;
  display: block; max-width: 520px; margin: auto; font: 12px system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  .lc {
    --ink: #e6edf3; --soft: #9aa5b1; --grid: #3d444d; --band: #1c232b; --ground: #11161c;
    --dot: #cba6f5; --run: #8f9aa6;
  }
}
.lc text { fill: var(--ink) }
.lc .lc-soft { fill: var(--soft) }
.lc .lc-title { font-weight: 600 }
.lc .lc-rank { font-weight: 600; text-anchor: middle }
.lc .lc-ground { fill: var(--ground) }
.lc .lc-band { fill: var(--band) }
.lc .lc-grid { stroke: var(--grid) }
.lc .lc-dot { fill: var(--dot) }
.lc .lc-ring { fill: none; stroke: var(--dot); stroke-width: 1.5 }
.lc .lc-run { fill: none; stroke: var(--run); stroke-width: 1.5 }
"""


def layer_chart(diagnosis: Diagnosis) -> str:
    """Draw every layer's error.

    Dots are what each layer introduces, lines what has accumulated up to it; the worst are ringed, numbered and named.

    Returns:
        One ``<svg>`` element that needs nothing else, follows the reader's light or dark scheme, and says in its
        description what it shows. Its classes begin with ``lc``.
    """
    worst = diagnosis.worst(NAMED)
    scale = _Scale.of(diagnosis)
    parts, top = [_legend()], HEADER
    for graph in diagnosis.graphs:
        parts += _panel(graph, worst, scale, top)
        top += PANEL_TITLE + PANEL + PANEL_FOOT
    parts += _names(worst, top)
    height = top + ROW * (len(worst) + 1) + 8
    title = f"SQNR of every layer of {diagnosis.bundle}"
    description = f"{summary(diagnosis)}. {_worst_layers(worst)}"
    return "\n".join(
        [
            f'<svg class="lc" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(description)}</desc>",
            f"<style>{STYLE}</style>",
            f'<rect class="lc-ground" width="{WIDTH}" height="{height}"/>',
            *parts,
            "</svg>",
        ]
    )


@dataclass(frozen=True)
class _Scale:
    """The range of decibels that all panels share, in whole grid steps."""

    low: float
    high: float

    @classmethod
    def of(cls, diagnosis: Diagnosis) -> _Scale:
        layers = [layer for graph in diagnosis.graphs for layer in graph.layers]
        values = [error.sqnr for layer in layers for error in (layer.introduced, layer.accumulated)]
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = (STEP * rounded for rounded in (math.floor(min(finite) / STEP), math.ceil(max(finite) / STEP)))
        return cls(low, max(high, low + STEP))

    def y(self, error: Fidelity, top: float) -> float:
        """The height of an error in a panel; without noise it is at the upper edge."""
        share = (min(max(error.sqnr, self.low), self.high) - self.low) / (self.high - self.low)
        return top + PANEL * (1 - share)

    def lines(self) -> Iterator[tuple[float, float]]:
        """Each grid line's decibels, and its distance from a panel's upper edge."""
        count = round((self.high - self.low) / STEP)
        for number in range(count + 1):
            yield self.high - number * STEP, PANEL * number / count


def _legend() -> str:
    return (
        f'<circle class="lc-dot" cx="{LEFT + 4}" cy="14" r="3"/>'
        f'<text x="{LEFT + 14}" y="18">introduced by the layer itself</text>'
        f'<path class="lc-run" d="M{LEFT + 200} 14h16"/>'
        f'<text x="{LEFT + 222}" y="18">accumulated up to it</text>'
        f'<text class="lc-soft" x="{LEFT}" y="38">SQNR in decibels: higher is better, 6 dB are one bit</text>'
    )


def _panel(graph: GraphError, worst: Sequence[LayerError], scale: _Scale, top: float) -> Iterator[str]:
    """One graph: its name and treatment, the grid, its layers from left to right."""
    yield f'<text class="lc-title" x="{LEFT}" y="{top + 16}">{escape(graph.graph)}</text>'
    offset = LEFT + 8 * len(graph.graph) + LETTER
    method = _shortened(graph.method, (WIDTH - RIGHT - offset) // LETTER)
    yield f'<text class="lc-soft" x="{offset}" y="{top + 16}">{escape(method)}</text>'
    top += PANEL_TITLE
    yield from _bands(graph, top)
    for value, distance in scale.lines():
        yield f'<path class="lc-grid" d="M{LEFT} {top + distance:.1f}H{WIDTH - RIGHT}"/>'
        yield (
            f'<text class="lc-soft" x="{LEFT - 6}" y="{top + distance + 4:.1f}" text-anchor="end">{value:.0f}</text>'
        )
    points = [(_x(number, graph), scale.y(layer.accumulated, top)) for number, layer in enumerate(graph.layers)]
    yield f'<polyline class="lc-run" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
    for number, layer in enumerate(graph.layers):
        x, y = _x(number, graph), scale.y(layer.introduced, top)
        told = f"{layer.label}: {decibels(layer.introduced)} dB, accumulated {decibels(layer.accumulated)} dB"
        yield f'<circle class="lc-dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{escape(told)}</title></circle>'
        if layer in worst:
            yield f'<circle class="lc-ring" cx="{x:.1f}" cy="{y:.1f}" r="6"/>'
            above = y - 10 if y - 20 > top else y + 20
            yield f'<text class="lc-rank" x="{x:.1f}" y="{above:.1f}">{worst.index(layer) + 1}</text>'


def _bands(graph: GraphError, top: float) -> Iterator[str]:
    """Transformer layers: every second one shaded, their numbers below."""
    yield f'<text class="lc-soft" x="{LEFT - 6}" y="{top + PANEL + 16}" text-anchor="end">layer</text>'
    first = 0
    for number, layers in groupby(graph.layers, key=lambda layer: layer.layer):
        count = len(list(layers))
        left, right = (_x(place - 0.5, graph) for place in (first, first + count))
        if number is not None:
            if number % 2 == 0:
                yield f'<rect class="lc-band" x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{PANEL}"/>'
            middle = (left + right) / 2
            yield (
                f'<text class="lc-soft" x="{middle:.1f}" y="{top + PANEL + 16}" text-anchor="middle">{number}</text>'
            )
        first += count


def _x(place: float, graph: GraphError) -> float:
    """Where a layer stands, by its number; halves are between layers."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / len(graph.layers)


def _names(worst: Sequence[LayerError], top: float) -> Iterator[str]:
    yield f'<text class="lc-title" x="{LEFT}" y="{top + 14}">Worst by themselves</text>'
    for rank, layer in enumerate(worst, start=1):
        told = f"{rank}  {layer.label}: {decibels(layer.introduced)} dB"
        yield f'<text x="{LEFT}" y="{top + 14 + ROW * rank}">{escape(told)}</text>'


def _worst_layers(worst: Sequence[LayerError]) -> str:
    listed = "; ".join(f"{layer.label} {decibels(layer.introduced)} dB" for layer in worst)
    return f"The worst {len(worst)}: {listed}."


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
