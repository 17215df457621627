"""``blipvino ask``."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from blipvino.checkpoint.architectures import FOR_ANSWERS, answers_questions
from blipvino.cli.image_texts import ImageText, answer_images, split_inputs
from blipvino.cli.looked_ahead import LookedAhead
from blipvino.cli.options import (
    AnswersOption,
    BundleArgument,
    ImageTextOptions,
    with_image_text_options,
)
from blipvino.cli.texts_of_photos import show_texts
from blipvino.cli.unused_options import refuse_unused
from blipvino.data.answers import read_answers
from blipvino.errors import InputError
from blipvino.photos.listing import Listed
from blipvino.runtime.blip import Blip
from blipvino.runtime.decoding.generation_options import GenerationOptions

InputsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Image files, folders, patterns, or - for paths from standard input; then questions about each.",
        metavar="IMAGE... QUESTION...",
    ),
]

app = typer.Typer()


@app.command(epilog='Example: blipvino ask blip-vqa photo.jpg "how many dogs are there?" "what color is the car?"')
@with_image_text_options
def ask(
    context: typer.Context,
    bundle: BundleArgument,
    inputs: InputsArgument,
    options: ImageTextOptions,
    answers: AnswersOption = None,
) -> None:
    """Answer questions about images."""
    if answers is not None:
        refuse_unused(
            context, [option.name for option in fields(GenerationOptions)], "with --answers, from which one is chosen"
        )
    images, questions = split_inputs(inputs)
    choice = None if answers is None else read_answers(answers)

    def answered(listed: Iterator[Listed]) -> Generator[ImageText]:
        ahead = LookedAhead(listed)
        blip = options.load_model(bundle, ahead.paths, _check_answers)
        return answer_images(blip, ahead, questions, choice, options.generation, options.least)

    show_texts(images, questions, options, answered)


def _check_answers(architecture: str, checkpoint: Path) -> None:
    """Refuse a checkpoint that answers no questions.

    Raises:
        InputError: it answers none.
    """
    Blip._check_kind(architecture, checkpoint)
    if not answers_questions(architecture):
        raise InputError(f"{checkpoint}: this model captions only; answers need a checkpoint such as {FOR_ANSWERS}")
