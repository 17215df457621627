"""What verbs print: results on standard output, as JSON, tables and sentences; what went wrong on standard error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console

from blipvino.text.printable import one_line, printable
from blipvino.text.tables import TextTable
from blipvino.text.terminal import rich_table

console = Console()


def print_json(content: Any) -> None:
    """Print one JSON value, over several lines."""
    typer.echo(_json_text(content, indent=2))


def print_json_line(content: Any, output: TextIO) -> None:
    """Print one JSON value on a line of its own, at once."""
    typer.echo(_json_text(content), file=output)


def _json_text(content: Any, indent: int | None = None) -> str:
    """JSON in which bytes of file names that are no UTF-8 are escaped, as Python's parser gives them back."""
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def print_tables(tables: Iterable[TextTable]) -> None:
    """Print tables, as wide as the terminal at the most."""
    for table in tables:
        console.print(rich_table(table))


def print_measured(tables: Sequence[TextTable]) -> None:
    """Print tables of what was measured, and below them what their words are."""
    from blipvino.measure.report.measured_words import words_in

    print_tables((*tables, words_in(tables)))


def print_sentence(sentence: str) -> None:
    """Print a sentence, its lines broken between words."""
    console.print(printable(sentence), highlight=False, markup=False)


def print_line(text: str, output: TextIO) -> None:
    """Print one line, whatever the names of files in it have."""
    typer.echo(one_line(text), file=output)


def print_error(message: object) -> None:
    """Print one line on standard error, after the program's name."""
    typer.echo(f"blipvino: {one_line(str(message))}", err=True)


def print_report_link(page: Path) -> None:
    """Print where a report is, for a terminal that opens links."""
    typer.echo(f"Report: {page.resolve().as_uri()}")
