"""What `caption` and `ask` print: texts as they are made, and at the end how many images there is none of."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import typer

from blipvino.cli.image_texts import ImageText
from blipvino.cli.output import print_error, print_json, print_json_line, print_line
from blipvino.errors import BlipvinoError
from blipvino.files.atomic import write_png
from blipvino.progress import Reporter
from blipvino.runtime.inputs.images import load_image
from blipvino.text.units import plural

INCOMPLETE = 3
"""Exit status where not all was done for some of the images."""


@dataclass(frozen=True)
class Form:
    """How texts are printed.

    Attributes:
        as_json: as one JSON list at the end.
        as_json_lines: as a JSON object a line, each as it is ready.
        names_images: whether lines of text say which image they are of.
        names_questions: whether lines of text say what they answer.
        strict: whether an image that cannot be read ends the work.
        scores: whether it is told how sure each text is.
    """

    as_json: bool
    as_json_lines: bool
    names_images: bool
    names_questions: bool
    strict: bool
    scores: bool = False


@dataclass
class Tally:
    """What became of the images, counted.

    Attributes:
        images: that were looked at.
        unread: of these, such as could not be read.
        incomplete: of these, such whose text is not everywhere where it was to be written.
        written: files that texts were written to.
        skipped: that had their text, and were not looked at; not among ``images``.
        texts: that were made.
        withheld: of these, such as were too unsure to be shown.
        uncalibrated: of these, such whose confidence was not fitted.
        first: the first text that is shown.
    """

    images: int = 0
    unread: int = 0
    incomplete: int = 0
    written: int = 0
    skipped: int = 0
    texts: int = 0
    withheld: int = 0
    uncalibrated: int = 0
    first: ImageText | None = None

    def add(self, text: ImageText) -> None:
        """Count one more text."""
        self.images += text.first
        self.unread += text.first and text.error is not None
        if text.outcome is not None:
            self.incomplete += bool(text.outcome.problems)
            self.written += len(text.outcome.written)
        if text.sureness is not None:
            self.texts += 1
            self.withheld += text.withheld
            self.uncalibrated += not text.sureness.calibrated
        if self.first is None and text.error is None and not text.withheld:
            self.first = text


def print_texts(texts: Generator[ImageText], form: Form, tally: Tally) -> None:
    """Print texts of images as they are made; as a JSON list at the end, or when the work is stopped.

    What went wrong with an image is a line on standard error.

    Args:
        texts: makes them, in order.
        form: how they are printed.
        tally: counts them.

    Raises:
        ImageError: an image cannot be read, and the form is strict.
        OutputError: a text cannot be kept in a file, and the form is strict.
    """
    rows = list[dict[str, Any]]()
    output = sys.stdout  # a progress bar takes sys.stdout for itself
    shown = form.names_images and sys.stderr.isatty() and (form.as_json or not output.isatty())
    try:
        with closing(texts), closing(Reporter(shown).track(texts, "Looking", None)) as tracked:
            for text in tracked:
                if text.error is not None and form.strict:
                    raise text.error
                tally.add(text)
                if form.as_json:
                    # First, since the work may be stopped as soon as it is printed.
                    rows.append(text.to_json(form.scores))
                _print_text(text, form, output)
                if text.problems and form.strict:
                    raise text.problems[0]
    except (KeyboardInterrupt, SystemExit, BlipvinoError) as error:  # what is done is not lost
        if form.as_json and (rows or not isinstance(error, BlipvinoError)):
            print_json(rows)
        raise
    if form.as_json:
        print_json(rows)


def _print_text(text: ImageText, form: Form, output: TextIO) -> None:
    if text.first and not form.strict:
        for problem in text.problems:
            print_error(problem)
    if form.as_json_lines:
        print_json_line(text.to_json(form.scores), output)
    elif not form.as_json and text.error is None:
        image = f"{text.image}: " if form.names_images else ""
        question = f"{text.question} " if form.names_questions else ""
        sure = f" {text.sureness}" if form.scores else ""
        print_line(f"{image}{question}{text.marked}{sure}", output)


def write_picture(tally: Tally, path: Path) -> None:
    """Write the first image that has a text, with it, to a PNG; nothing where none has."""
    from blipvino.measure.report.pictures import visualize

    first = tally.first
    if first is not None:
        shown = {"caption": first.text} if first.question is None else {"answer": first.text}
        write_png(path, visualize(load_image(first.image), question=first.question, **shown))


def print_summary(tally: Tally, scores: bool) -> None:
    """Say on standard error how many texts were written and withheld, and how many images were passed over or not read.

    Args:
        tally: what there is to say.
        scores: whether it was told how sure each text is.

    Raises:
        typer.Exit: not all was done for some of the images; with status `INCOMPLETE`.
    """
    if tally.written or tally.skipped:
        skipped = f"{tally.skipped} {plural(tally.skipped, 'image')}"
        passed_over = f", {skipped} passed over, which had theirs" if tally.skipped else ""
        print_error(f"{tally.written} {plural(tally.written, 'file')} written{passed_over}")
    if tally.withheld:
        print_error(f"{tally.withheld} of {tally.texts} texts left blank, which are less sure than --min-confidence")
    if tally.uncalibrated and (scores or tally.withheld):
        print_error("confidence is uncalibrated: the texts' own probabilities; `blipvino calibrate` fits it")
    if tally.unread:
        others = "other " if tally.skipped else ""
        print_error(f"{tally.unread} of {tally.images} {others}images could not be read")
    if tally.incomplete:
        print_error(f"the texts of {tally.incomplete} of {tally.images} images were not written as asked")
    if tally.unread or tally.incomplete:
        raise typer.Exit(INCOMPLETE)
