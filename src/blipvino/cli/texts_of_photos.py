"""What `caption` and `ask` do with the images that they are given: list them, have texts made, print."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain

from blipvino.cli.image_texts import ImageText
from blipvino.cli.options import ImageTextOptions
from blipvino.cli.text_printing import Form, exit_if_incomplete, print_texts, write_picture
from blipvino.photos.listing import Listed, list_photos, names_one_file

MakeTexts = Callable[[Iterator[Listed]], Generator[ImageText]]
"""Makes the texts of images, in order. It is called once there is an image to look at."""


def show_texts(inputs: Sequence[str], questions: Sequence[str], options: ImageTextOptions, make: MakeTexts) -> None:
    """Print the texts of all images that are named; the first of them as a picture, where that is asked for.

    Args:
        inputs: files, folders, patterns, "-".
        questions: that are asked of each image; none of captions.
        options: how texts are made and printed.
        make: makes them.

    Raises:
        ImageError: an image cannot be read, and it is the only one or the options are strict.
        typer.Exit: not all was done for some of the images.
    """
    alone = names_one_file(inputs)
    form = Form(options.as_json, options.as_json_lines, not alone, len(questions) > 1, alone or options.strict)
    listed = list_photos(inputs)
    first = next(listed, None)
    if first is None:  # of standard input, which is empty
        return
    second = next(listed, None)
    if second is None and first.error is not None:
        raise first.error
    listed = chain([first], [] if second is None else [second], listed)
    tally = print_texts(make(listed), form)
    if options.picture is not None:
        write_picture(tally, options.picture)
    exit_if_incomplete(tally)
