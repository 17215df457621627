"""What `caption` and `ask` do with the images that they are given: list them, have texts made, print and keep them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from blipvino.cli.arrivals import Arrivals, Peeked
from blipvino.cli.image_texts import AHEAD, ImageText
from blipvino.cli.options import ImageTextOptions
from blipvino.cli.text_printing import Form, Tally, print_summary, print_texts, write_picture
from blipvino.errors import InputError
from blipvino.photos.listing import STANDARD_INPUT, Listed, list_photos, names_one_file
from blipvino.photos.places import Describer

MakeTexts = Callable[[Iterator[Listed]], Generator[ImageText]]
"""Makes the texts of images, in order. It is called once there is an image to look at."""


def show_texts(inputs: Sequence[str], questions: Sequence[str], options: ImageTextOptions, make: MakeTexts) -> None:
    """Print the texts of all images that are named, and keep them in files, where that is asked for.

    Args:
        inputs: files, folders, patterns, "-".
        questions: that are asked of each image; none of captions.
        options: how texts are made, printed and kept.
        make: makes them.

    Raises:
        ImageError: an image cannot be read, and it is the only one or the options are strict.
        OutputError: a text cannot be kept, and it is the only one or the options are strict; or no text can.
        InputError: several questions are asked, and the answers are to be kept.
        typer.Exit: not all was done for some of the images.
    """
    alone, tally = names_one_file(inputs), Tally()
    form = Form(
        *(options.as_json, options.as_json_lines, not alone, len(questions) > 1, alone or options.strict),
        scores=options.scores,
    )
    describer = options.writing.describer()
    if describer is not None and len(questions) > 1:
        raise InputError("a sidecar and an image's description take one answer each; ask one question with them")
    listed = list_photos(inputs)
    if options.picture is not None and options.picture.exists():
        listed = _others(listed, options.picture)
    if describer is not None:
        listed = _undescribed(listed, describer, tally)
    from_input = STANDARD_INPUT in inputs
    photos = Peeked(Arrivals(listed, AHEAD) if from_input else listed)
    first = photos.peek()
    if first is not None and first.error is not None and not from_input and photos.holds_one:
        raise first.error
    if first is not None:  # else standard input is empty, or all is done: no model is needed
        texts = make(photos)
        print_texts(texts if describer is None else _kept(texts, describer), form, tally)
        if options.picture is not None:
            write_picture(tally, options.picture)
    print_summary(tally, options.scores)


def _others(photos: Iterator[Listed], picture: Path) -> Iterator[Listed]:
    """The photos.

    Raises:
        InputError: one of them is the file that the picture would replace.
    """
    for photo in photos:
        if _is_same(photo.path, picture):
            raise InputError(f"--picture {picture} would replace an image that is looked at; give another name")
        yield photo


def _is_same(photo: Path, picture: Path) -> bool:
    try:
        return photo.samefile(picture)
    except (OSError, ValueError):  # there is none, or it can be no path at all
        return False


def _undescribed(photos: Iterator[Listed], describer: Describer, tally: Tally) -> Iterator[Listed]:
    """The photos that have to be looked at; the others are counted."""
    for photo in photos:
        if photo.error is None and describer.is_done(photo.path):
            tally.skipped += 1
        else:
            yield photo


def _kept(texts: Generator[ImageText], describer: Describer) -> Generator[ImageText]:
    """The texts, each kept in files as it is made.

    Raises:
        OutputError: no text can be kept any more.
    """
    with closing(texts):
        for text in texts:
            kept = text.error is None and not text.withheld
            yield text if not kept else replace(text, outcome=describer.describe(text.image, text.text))
