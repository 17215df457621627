"""The speed benchmark's pictures. They need matplotlib, which comes with the extra ``bench``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image

matplotlib.use("Agg")  # no display is needed
from matplotlib import pyplot

from blipvino.measure.race.floor import floors
from blipvino.measure.race.speed_results import SpeedResults
from blipvino.measure.race.speed_tables import growth

DPI = 150
WIDTH = 9.0
COLOR_COUNT = 128
COLORS = {
    "vision": "#3b6fb6",
    "question_kv": "#7aa6d8",
    "question": "#b3cde8",
    "answer_kv": "#f2b56b",
    "steps": "#d9742b",
    "rest": "#c9c9c9",
    "decoder and rest": "#d9a07a",
}
CAPTION_PARTS = ("vision", "answer_kv", "steps", "rest")
ANSWER_PARTS = ("vision", "question_kv", "question", "decoder and rest")

Bars = Mapping[str, Mapping[str, float]]
"""Milliseconds by contender and part."""


def draw_latency(results: SpeedResults, path: Path) -> bool:
    """Stacked bars, a contender each: a caption above, an answer below. False if there is nothing to draw."""
    panels = [
        ("caption", caption_split(results), CAPTION_PARTS),
        ("first answer", answer_split(results), ANSWER_PARTS),
    ]
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        return False
    heights = [len(bars) + 1.6 for _, bars, _ in panels]
    figure, grid = pyplot.subplots(
        len(panels), 1, figsize=(WIDTH, 0.42 * sum(heights)), height_ratios=heights, layout="constrained", squeeze=False
    )
    for axes, (work, bars, parts) in zip(grid[:, 0], panels, strict=True):
        wholes = [series for name in bars if (series := results.find(work, name)) is not None]
        _stack(axes, bars, parts)
        _label(axes, [results.label(one.contender) for one in wholes], [one.median * 1e3 for one in wholes])
        axes.set_title(f"{work.capitalize()}, {wholes[0].new_tokens} tokens, batch 1", loc="left", fontsize=12)
    _save(figure, path)
    return True


def caption_split(results: SpeedResults) -> dict[str, dict[str, float]]:
    """A caption's time: each graph's, timed on its own, and what is left of the whole."""
    split = {}
    for name in results.measured:
        whole, parts = results.find("caption", name), results.find("parts", name)
        if whole is not None and parts is not None and parts.part_medians:
            medians = parts.part_medians
            known = _some(medians, "vision", "answer_kv")
            split[name] = _with_rest({**known, "steps": whole.new_tokens * medians["step"]}, whole.median, "rest")
    return split


def answer_split(results: SpeedResults) -> dict[str, dict[str, float]]:
    """An answer's time. Its decoder attends to the question, so steps over an image do not tell their share."""
    split = {}
    for name in results.measured:
        whole, parts = results.find("first answer", name), results.find("parts", name)
        if whole is not None and parts is not None and parts.part_medians:
            medians = parts.part_medians
            known = _some(medians, "vision", "question_kv", "question")
            split[name] = _with_rest(known, whole.median, "decoder and rest")
    return split


def _some(parts: Mapping[str, float], *names: str) -> dict[str, float]:
    return {name: parts[name] for name in names if name in parts}


def _with_rest(known: dict[str, float], whole: float, rest: str) -> dict[str, float]:
    """Milliseconds. Parts timed apart may come to more than the whole; the rest is nothing then."""
    left = max(0.0, whole - sum(known.values()))
    return {part: seconds * 1e3 for part, seconds in {**known, rest: left}.items()}


def _stack(axes: Any, bars: Bars, parts: Sequence[str]) -> None:
    starts = [0.0] * len(bars)
    for part in parts:
        widths = [values.get(part, 0.0) for values in bars.values()]
        if any(widths):
            axes.barh(range(len(bars)), widths, left=starts, color=COLORS[part], label=part, height=0.7)
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    axes.set_xlim(0, max(starts) * 1.14)
    axes.set_xlabel("milliseconds")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=10, frameon=False)


def _label(axes: Any, labels: Sequence[str], wholes: Sequence[float]) -> None:
    """Contenders from the top down, each with what the whole took, which is not exactly the sum of its parts."""
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    for row, (bar_end, whole) in enumerate(zip(_ends(axes, len(labels)), wholes, strict=True)):
        axes.text(bar_end, row, f" {whole:,.0f} ms" if whole >= 20 else f" {whole:.1f} ms", va="center", fontsize=10)


def _ends(axes: Any, rows: int) -> list[float]:
    return [max(bars[row].get_x() + bars[row].get_width() for bars in axes.containers) for row in range(rows)]


def draw_floor(results: SpeedResults, path: Path) -> bool:
    """Measured beside floor, for each of our graphs that has one."""
    found = floors(results)
    graphs = [graph for graph in ("vision", "step") if any(one.graph == graph for one in found)]
    if not graphs:
        return False
    figure, grid = pyplot.subplots(1, len(graphs), figsize=(WIDTH, 3.6), layout="constrained", squeeze=False)
    for axes, graph in zip(grid[0], graphs, strict=True):
        own = [one for one in found if one.graph == graph]
        labels = [results.label(one.contender).removeprefix("blipvino ") for one in own]
        places = range(len(own))
        axes.bar(places, [one.measured * 1e3 for one in own], width=0.6, color="#3b6fb6", label="measured")
        for place, one in zip(places, own, strict=True):
            axes.hlines(one.floor * 1e3, place - 0.38, place + 0.38, color="#c0392b", linewidth=3)
            text = f"{one.measured * 1e3:.1f} ms\n{one.ratio:.2f} × floor"
            axes.text(place, max(one.measured, one.floor) * 1e3, text, ha="center", va="bottom", fontsize=10)
        axes.plot([], [], color="#c0392b", linewidth=3, label="floor")
        bound = "arithmetic at matmul peak" if graph == "vision" else "memory read at full bandwidth"
        axes.set_title(f"{graph}: {bound}", loc="left", fontsize=12)
        axes.set(ylabel="milliseconds", ylim=(0, 1.35e3 * max(max(one.measured, one.floor) for one in own)))
        axes.set_xticks(places, labels)
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    _save(figure, path)
    return True


def draw_growth(results: SpeedResults, path: Path) -> bool:
    """Lines: seconds against the number of images, questions and tokens."""
    works = (("caption", "images in a batch"), ("questions", "questions on one image"), ("tokens", "tokens"))
    names = [name for name in results.measured if growth(results, "tokens", name)]  # others have fewer points
    lines = {
        label: {name: points for name in names if len(points := growth(results, work, name)) > 1}
        for work, label in works
    }
    lines = {label: drawn for label, drawn in lines.items() if drawn}
    if not lines:
        return False
    figure, grid = pyplot.subplots(1, len(lines), figsize=(WIDTH, 3.6), layout="constrained", squeeze=False)
    for axes, (label, drawn) in zip(grid[0], lines.items(), strict=True):
        for number, (name, points) in enumerate(drawn.items()):
            sizes, seconds = zip(*points, strict=True)
            axes.plot(sizes, seconds, marker="o", label=results.label(name), color=f"C{number}")
        axes.set(xlabel=label, xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.3)
    grid[0][0].set_ylabel("seconds")
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    _save(figure, path)
    return True


def _save(figure: Any, path: Path) -> None:
    drawn = BytesIO()
    figure.savefig(drawn, dpi=DPI)
    pyplot.close(figure)
    few = Image.open(drawn).convert("RGB").quantize(COLOR_COUNT)  # a page has pictures of several machines
    few.save(path, optimize=True)


DRAWINGS: Mapping[str, Callable[[SpeedResults, Path], bool]] = {
    "latency": draw_latency,
    "floor": draw_floor,
    "growth": draw_growth,
}
