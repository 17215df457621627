"""The speed benchmark's results written to a folder: JSON, tables, plots; and the page of the documentation."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from blipvino.bench.results import SpeedResults
from blipvino.errors import OutputError
from blipvino.output import make_folder, write_text
from blipvino.report.speed import speed_tables
from blipvino.report.tables import markdown

BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
PLOTS = {
    "latency": "Where a caption's and an answer's time goes",
    "floor": "Our graphs beside the machine's limit",
    "growth": "What more images, questions and tokens cost",
}
"""Pictures by name, with what they show."""


def write_speed(results: SpeedResults, folder: Path) -> None:
    """Write ``speed.json``, ``speed.md`` and, where matplotlib is installed, ``speed-*.png``.

    Raises:
        OutputError: the folder or a file in it cannot be written.
    """
    make_folder(folder)
    write_text(folder / "speed.json", json.dumps(results.to_json(), indent=1) + "\n")
    write_text(folder / "speed.md", speed_page(results, write_plots(results, folder, "speed")))


def write_plots(results: SpeedResults, folder: Path, stem: str) -> dict[str, str]:
    """Draw every picture as ``STEM-NAME.png``; returns titles by file name, none without matplotlib."""
    if not can_plot():
        return {}
    from blipvino.report.speed_plots import DRAWINGS  # noqa: PLC0415  # matplotlib comes with an extra

    written = {}
    for name, title in PLOTS.items():
        if DRAWINGS[name](results, folder / f"{stem}-{name}.png"):
            written[f"{stem}-{name}.png"] = title
    return written


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def speed_page(results: SpeedResults, pictures: dict[str, str]) -> str:
    """Pictures and tables as Markdown."""
    shown = "".join(f"![{title}]({file})\n\n" for file, title in pictures.items())
    return shown + markdown(speed_tables(results))


def update_page(page: Path, results: SpeedResults) -> None:
    """Replace what stands between the two markers of a page, and draw its pictures beside it.

    Raises:
        OutputError: the page has no markers, or cannot be written.
    """
    before, after = _around_markers(page)
    pictures = write_plots(results, page.parent, page.stem)
    write_text(page, f"{before}{BEGIN}\n\n{speed_page(results, pictures)}\n{END}{after}")


def _around_markers(page: Path) -> tuple[str, str]:
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise OutputError(f"{page}: expected the lines {BEGIN} and {END}; put them where the results go")
    return before, after
