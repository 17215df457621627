"""The speed benchmark on full-size BLIP-base with random weights; rewrites its section of docs/performance.md.

A class of machines has a section each; a run replaces that of its own machine's class and leaves the others.

python -m benchmarks.speed --work out/speed/work
ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.speed --work out/speed/work    # the section of a lesser class
python -m benchmarks.speed --from-json out/speed/speed.json                 # that of the machine that measured it
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.performance_page import around_section, update_page
from benchmarks.random_checkpoint import write_random_checkpoint
from benchmarks.targets import targets_tables
from blipvino.errors import BlipvinoError, InputError
from blipvino.machine.cpu_classes import TITLES, class_of
from blipvino.machine.host import this_host
from blipvino.machine.record import classified
from blipvino.measure.race.speed import SpeedOptions, run_speed
from blipvino.measure.race.speed_files import write_speed
from blipvino.measure.race.speed_results import SpeedResults
from blipvino.measure.race.speed_tables import speed_tables
from blipvino.progress import Reporter
from blipvino.text.terminal import rich_table

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def main() -> None:
    """Parse the command line, measure or read what was measured, write results and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out/speed"), help="folder for speed.json, tables, plots")
    parser.add_argument("--work", type=Path, help="folder for checkpoint and models, kept; by default OUTPUT/work")
    parser.add_argument("--checkpoint", type=Path, help="use this one instead of random weights")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page, with markers for each class")
    parser.add_argument("--from-json", type=Path, help="measure nothing: rewrite the page from this speed.json")
    parser.add_argument(
        "--class", dest="machine_class", choices=tuple(TITLES), help="of the machine, for a speed.json that lacks it"
    )
    parser.add_argument("--rounds", type=int, help="repetitions of each work at most")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    try:
        results = _results(options)
        update_page(options.page, results)
    except BlipvinoError as error:
        parser.error(str(error))
    for table in (*targets_tables(results), *speed_tables(results)):
        Console().print(rich_table(table))


def _results(options: argparse.Namespace) -> SpeedResults:
    """Those of a file, or measured; refused before measuring if the page has no place for them."""
    if options.from_json:
        results = _read(options.from_json)
        return replace(results, machine=classified(results.machine, options.machine_class))
    if options.machine_class:
        raise InputError("--class is for --from-json; ONEDNN_MAX_CPU_ISA=... measures a lesser class than this CPU's")
    around_section(options.page, class_of(this_host()))
    return _measure(options)


def _read(path: Path) -> SpeedResults:
    try:
        return SpeedResults.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a speed.json") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a speed.json that this benchmark wrote ({error!r})") from error


def _measure(options: argparse.Namespace) -> SpeedResults:
    work = options.work or options.output / "work"
    checkpoint = options.checkpoint or work / "checkpoint"
    if not (checkpoint / "preprocessor_config.json").exists():  # what is written last
        write_random_checkpoint(checkpoint)
    results = run_speed(checkpoint, work, SpeedOptions(rounds=options.rounds, quick=options.quick), Reporter())
    write_speed(results, options.output, targets_tables(results))
    return results


if __name__ == "__main__":
    main()
