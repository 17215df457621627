"""``docs/performance.md``: a section a class of machine, between markers, each rewritten by a run of its own class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.targets import targets_tables
from blipvino.errors import OutputError
from blipvino.files.atomic import write_text
from blipvino.machine.cpu_classes import MachineClass
from blipvino.machine.record import classified
from blipvino.measure.race.speed_files import speed_section, write_plots
from blipvino.measure.race.speed_results import SpeedResults


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
    write_text(page, f"{before}\n\n{speed_section(results, pictures, targets_tables(results))}\n{after}")


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
