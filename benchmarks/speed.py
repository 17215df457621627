"""The speed benchmark on full-size BLIP-base with random weights; rewrites docs/performance.md from what it measures.

python -m benchmarks.speed --work out/speed/work
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from benchmarks.random_checkpoint import write_random_checkpoint
from blipvino.bench.results import SpeedResults
from blipvino.bench.speed import SpeedOptions, run_speed
from blipvino.progress import Reporter
from blipvino.report.speed import speed_tables
from blipvino.report.speed_files import update_page, write_speed
from blipvino.report.terminal import rich_table

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def main() -> None:
    """Parse the command line, measure or read what was measured, write results and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out/speed"), help="folder for speed.json, tables, plots")
    parser.add_argument("--work", type=Path, help="folder for checkpoint and models, kept; by default OUTPUT/work")
    parser.add_argument("--checkpoint", type=Path, help="use this one instead of random weights")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to rewrite between its markers")
    parser.add_argument("--from-json", type=Path, help="measure nothing: rewrite the page from this speed.json")
    parser.add_argument("--rounds", type=int, help="repetitions of each work at most")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    results = _read(options.from_json) if options.from_json else _measure(options)
    update_page(options.page, results)
    for table in speed_tables(results):
        Console().print(rich_table(table))


def _read(path: Path) -> SpeedResults:
    return SpeedResults.from_json(json.loads(path.read_text(encoding="utf-8")))


def _measure(options: argparse.Namespace) -> SpeedResults:
    work = options.work or options.output / "work"
    checkpoint = options.checkpoint or work / "checkpoint"
    if not (checkpoint / "preprocessor_config.json").exists():  # what is written last
        write_random_checkpoint(checkpoint)
    results = run_speed(checkpoint, work, SpeedOptions(rounds=options.rounds, quick=options.quick), Reporter())
    write_speed(results, options.output)
    return results


if __name__ == "__main__":
    main()
