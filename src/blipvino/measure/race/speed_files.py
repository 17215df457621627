"""The speed benchmark's results written to a folder: JSON, tables, plots; and the page of the documentation."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from blipvino.errors import OutputError
from blipvino.files.atomic import make_folder, write_text
from blipvino.machine.cpu_classes import MachineClass
from blipvino.machine.record import classified
from blipvino.measure.race.speed_results import SpeedResults
from blipvino.measure.race.speed_tables import speed_heading, speed_tables
from blipvino.text.tables import markdown

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
    from blipvino.measure.race.speed_plots import DRAWINGS  # noqa: PLC0415  # matplotlib comes with an extra

    written = {}
    for name, title in PLOTS.items():
        if DRAWINGS[name](results, folder / f"{stem}-{name}.png"):
            written[f"{stem}-{name}.png"] = title
    return written


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def speed_page(results: SpeedResults, pictures: dict[str, str]) -> str:
    """Heading, pictures and tables as Markdown."""
    shown = "".join(f"![{title}]({file})\n\n" for file, title in pictures.items())
    return f"{speed_heading(results)}\n{shown}{markdown(speed_tables(results))}"


def update_page(page: Path, results: SpeedResults) -> None:
    """Replace the section of the machine's class in a page, between its markers, and draw its pictures beside it.

    What is outside of them, other classes' sections among it, stays as it is, byte for byte.

    Raises:
        InputError: the results do not tell the class of their machine.
        OutputError: the page has no markers of that class, or cannot be read or written.
    """
    machine = classified(results.machine)
    assert machine.machine_class is not None
    results = replace(results, machine=machine)
    before, after = around_section(page, machine.machine_class)
    pictures = write_plots(results, page.parent, f"{page.stem}-{machine.machine_class}")
    write_text(page, f"{before}\n\n{speed_page(results, pictures)}\n{after}")


def markers(machine_class: MachineClass) -> tuple[str, str]:
    """What a class's section of a page stands between."""
    return f"<!-- speed:{machine_class}:begin -->", f"<!-- speed:{machine_class}:end -->"


def around_section(page: Path, machine_class: MachineClass) -> tuple[str, str]:
    """What a page has before and after a class's section, markers included.

    Raises:
        OutputError: the page has no such markers, or cannot be read.
    """
    begin, end = markers(machine_class)
    try:
        text = page.read_bytes().decode("utf-8")  # line ends stay as they are
    except OSError as error:
        raise OutputError(f"{page}: cannot be read ({error.strerror}); name a page with --page") from error
    before, has_begin, rest = text.partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise OutputError(f"{page}: expected the lines {begin} and {end}; put them where results of this class go")
    return before + begin, end + after
