"""What blipvino gains, in one table: figures of docs/performance.md, and how often each is right of docs/compare.md,
gathered into the README and docs/compare.md.

python -m benchmarks.gains            # rewrites the table in both
python -m benchmarks.gains --print    # prints it
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.performance_page import markers
from blipvino.files.atomic import write_text
from blipvino.machine.cpu_classes import TITLES

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs/compare.md")
SOURCES = (ROOT / "docs/performance.md", ROOT / "docs/compare.md")
BEGIN, END = "<!-- gains:begin -->", "<!-- gains:end -->"
_CONTENDERS = ("transformers fp32", "tutorial INT8", "blipvino INT8")
_CAPTION = "Latency: caption, 20 tokens, batch 1"
_FURTHER = "Latency: answer, further question, 3 tokens, batch 1"
_LAUNCH = "Launch of a process to its first text"
_DISK = "Models on disk"
_COLUMNS = (
    *("caption, ms", "further answer, ms", "launch to first caption, s", "its peak memory, MB", "on disk, MB"),
    *("answers right, %", "captions right, %"),
)
_HEAD = f"| CPU | | {' | '.join(_COLUMNS)} |"

Rows = dict[str, list[str]]


def gains_table(page: str, compared: str) -> str:
    """The table, in Markdown: a row a class of CPU and contender, as far as they were measured.

    Args:
        page: text of docs/performance.md.
        compared: text of docs/compare.md, which has what `benchmarks.contender_accuracy` printed.
    """
    lines = [_HEAD, "|---|---|" + "---:|" * len(_COLUMNS)]
    for machine_class, name in TITLES.items():
        begin, end = markers(machine_class)
        section = page.partition(begin)[2].partition(end)[0]
        title = re.search(r"^## (.+)$", section, re.MULTILINE)
        if title is not None:
            right = _table(compared, name) if f"\n### {name}\n" in compared else {}
            lines += _rows(title[1], section, right)
    return "\n".join(lines) + "\n"


def _rows(title: str, section: str, right: Rows) -> Iterator[str]:
    captions, answers, launches, disk = (_table(section, each) for each in (_CAPTION, _FURTHER, _LAUNCH, _DISK))
    for contender in _CONTENDERS:
        name = next((each for each in captions if each.split(",")[0] == contender), None)
        if name is None:
            continue
        launch = launches.get(f"first caption|{contender}") or launches[f"first caption|{contender}, warm cache"]
        without_intervals = [cell.partition(" ")[0] for cell in right.get(contender, ["", ""])[:2]]
        cells = (title, name, captions[name][0], answers[name][0], *launch, disk[contender][0], *without_intervals)
        yield f"| {' | '.join(cells)} |"
        title = ""


def _table(section: str, heading: str) -> Rows:
    """The table under a heading: its rows' cells by their names. Of launches a name is two cells."""
    found = re.search(rf"^### {re.escape(heading)}\n\n((?:\|.*\n)+)", section, re.MULTILINE)
    if found is None:
        raise ValueError(f"no table {heading!r}; run the benchmark that prints it again")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()[2:]]
    names = 2 if heading == _LAUNCH else 1
    return {"|".join(row[:names]): row[names:] for row in rows}


def with_gains(text: str, table: str) -> str:
    """A page's text with the table between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} and {END} where the table goes")
    return f"{before}{begin}\n{table}{end}{after}"


def main() -> None:
    """Parse the command line, and rewrite the pages or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the table, write nothing")
    options = parser.parse_args()
    table = gains_table(*(page.read_text(encoding="utf-8") for page in SOURCES))
    if options.print:
        print(table, end="")
        return
    for page in PAGES:
        write_text(page, with_gains(page.read_text(encoding="utf-8"), table))


if __name__ == "__main__":
    main()
