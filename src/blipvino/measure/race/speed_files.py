"""The speed benchmark's results written to a folder: JSON, tables, plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from blipvino.files.atomic import make_folder, write_text
from blipvino.measure.race.speed_results import SpeedResults
from blipvino.measure.race.speed_tables import speed_heading, speed_tables
from blipvino.text.tables import TextTable, markdown

PLOTS = {
    "latency": "Where a caption's and an answer's time goes",
    "floor": "Our graphs beside the machine's limit",
    "growth": "What more images, questions and tokens cost",
}
"""Pictures by name, with what they show."""


def write_speed(results: SpeedResults, folder: Path, first: Sequence[TextTable] = ()) -> None:
    """Write ``speed.json``, ``speed.md`` and, where matplotlib is installed, ``speed-*.png``.

    Args:
        results: what was measured.
        folder: made where there is none.
        first: tables of ``speed.md`` that come before those of the results.

    Raises:
        OutputError: the folder or a file in it cannot be written.
    """
    make_folder(folder)
    write_text(folder / "speed.json", json.dumps(results.to_json(), indent=1) + "\n")
    write_text(folder / "speed.md", speed_section(results, write_plots(results, folder, "speed"), first))


def write_plots(results: SpeedResults, folder: Path, stem: str) -> dict[str, str]:
    """Draw every picture as ``STEM-NAME.png``; returns titles by file name, none without matplotlib."""
    if not can_plot():
        return {}
    from blipvino.measure.race.speed_plots import DRAWINGS  # noqa: PLC0415  # matplotlib comes with an extra

    written = {}
    for name, title in PLOTS.items():
        if DRAWINGS[name](results, folder / f"{stem}-{name}.png"):
            written[f"{stem}-{name}.png"] = title
    return written


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def speed_section(results: SpeedResults, pictures: Mapping[str, str], first: Sequence[TextTable] = ()) -> str:
    """Heading, pictures (titles by file name) and tables as Markdown, those of ``first`` before the results' own."""
    shown = "".join(f"![{title}]({file})\n\n" for file, title in pictures.items())
    return f"{speed_heading(results)}\n{shown}{markdown((*first, *speed_tables(results)))}"
