"""``blipvino caption``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blipvino.cli.image_texts import caption_images
from blipvino.cli.options import BundleArgument, ImageTextOptions, with_image_text_options
from blipvino.cli.output import exit_if_unread, print_texts, write_picture

ImagesArgument = Annotated[list[Path], typer.Argument(help="Image files.")]
PromptOption = Annotated[str | None, typer.Option(help="Text that the caption continues.")]

app = typer.Typer()


@app.command(epilog='Example: blipvino caption blip-vqa photo.jpg other.png --prompt "a picture of"')
@with_image_text_options
def caption(
    context: typer.Context,
    bundle: BundleArgument,
    images: ImagesArgument,
    options: ImageTextOptions,
    prompt: PromptOption = None,
) -> None:
    """Describe images."""
    blip = options.load_model(bundle)
    texts = print_texts(caption_images(blip, images, prompt, options.generation), images, (), options.as_json)
    if options.picture is not None:
        write_picture(texts, options.picture)
    exit_if_unread(texts)
