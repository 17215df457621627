"""What verbs print: results on standard output, as JSON, tables and sentences; what went wrong on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console

from blipvino.cli.image_texts import ImageText
from blipvino.files.atomic import write_png
from blipvino.progress import Reporter
from blipvino.runtime.inputs.images import load_image
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.text.tables import TextTable
from blipvino.text.terminal import rich_table

UNREAD_IMAGES = 3
"""Exit status where some of several images could not be read."""

console = Console()


def print_json(content: Any) -> None:
    """Print one JSON value."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_tables(tables: Iterable[TextTable]) -> None:
    """Print tables, as wide as the terminal at the most."""
    for table in tables:
        console.print(rich_table(table))


def print_sentence(sentence: str) -> None:
    """Print a sentence, its lines broken between words."""
    console.print(sentence, highlight=False, markup=False)


def print_error(message: object) -> None:
    """Print one line on standard error, after the program's name."""
    typer.echo(f"blipvino: {message}", err=True)


def print_report_link(page: Path) -> None:
    """Print where a report is, for a terminal that opens links."""
    typer.echo(f"Report: {page.resolve().as_uri()}")


def print_texts(
    texts: Generator[ImageText], images: Sequence[Path], questions: Sequence[str], as_json: bool
) -> list[ImageText]:
    """Print the texts of images as they are made; as JSON at the end, or when the work is stopped.

    An image that cannot be read is a line on standard error.

    Args:
        texts: makes them, in order.
        images: all that there will be texts of.
        questions: that are asked of each; none of captions.
        as_json: whether they are printed as JSON.

    Returns:
        All texts.

    Raises:
        ImageError: the one image cannot be read.
    """
    printed: list[ImageText] = []
    output = sys.stdout  # a progress bar takes sys.stdout for itself
    shown = len(images) > DEFAULT_BATCH_SIZE and sys.stderr.isatty() and (as_json or not output.isatty())
    total = len(images) * max(1, len(questions))
    try:
        with closing(texts), closing(Reporter(shown).track(texts, "Looking", total)) as tracked:
            for text in tracked:
                printed.append(text)  # first, since the work may be stopped as soon as it is printed
                _print_text(text, len(images) > 1, len(questions) > 1, None if as_json else output)
    except (KeyboardInterrupt, SystemExit):  # what is done is not lost
        if as_json:
            print_json([text.to_json() for text in printed])
        raise
    if as_json:
        print_json([text.to_json() for text in printed])
    return printed


def _print_text(text: ImageText, several_images: bool, several_questions: bool, output: TextIO | None) -> None:
    if text.error is not None:
        if not several_images:
            raise text.error
        if text.first:
            print_error(text.error)
    elif output is not None:
        image = f"{text.image}: " if several_images else ""
        question = f"{text.question} " if several_questions else ""
        typer.echo(f"{image}{question}{text.marked}", file=output)


def write_picture(texts: Iterable[ImageText], path: Path) -> None:
    """Write the first image that has a text, with it, to a PNG; nothing where none has."""
    from blipvino.measure.report.pictures import visualize

    first = next((text for text in texts if text.error is None), None)
    if first is not None:
        shown = {"caption": first.text} if first.question is None else {"answer": first.text}
        write_png(path, visualize(load_image(first.image), question=first.question, **shown))


def exit_if_unread(texts: Iterable[ImageText]) -> None:
    """Say how many images could not be read, if any.

    Raises:
        typer.Exit: with status `UNREAD_IMAGES`, if any.
    """
    images = [text for text in texts if text.first]
    unread = sum(text.error is not None for text in images)
    if unread:
        print_error(f"{unread} of {len(images)} images could not be read")
        raise typer.Exit(UNREAD_IMAGES)
