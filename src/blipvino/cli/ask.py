"""``blipvino ask``."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import typer

from blipvino.cli.image_texts import answer_images, split_inputs
from blipvino.cli.options import (
    AnswersOption,
    BundleArgument,
    ImageTextOptions,
    refuse_unused,
    with_image_text_options,
)
from blipvino.cli.output import exit_if_unread, print_texts, write_picture
from blipvino.data.answers import read_answers
from blipvino.runtime.decoding.generation_options import GenerationOptions

InputsArgument = Annotated[
    list[str],
    typer.Argument(help="Image files, then questions; each is asked of every image.", metavar="IMAGE... QUESTION..."),
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
    blip = options.load_model(bundle)
    answered = answer_images(blip, images, questions, choice, options.generation)
    texts = print_texts(answered, images, questions, options.as_json)
    if options.picture is not None:
        write_picture(texts, options.picture)
    exit_if_unread(texts)
