"""``blipvino caption``."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Annotated

import typer

from blipvino.cli.image_texts import ImageText, caption_images
from blipvino.cli.options import BundleArgument, ImageTextOptions, with_image_text_options
from blipvino.cli.texts_of_photos import show_texts
from blipvino.photos.listing import Listed

ImagesArgument = Annotated[
    list[str], typer.Argument(help="Image files, folders, patterns; - reads paths from standard input, one a line.")
]
PromptOption = Annotated[str | None, typer.Option(help="Text that the caption continues.")]

app = typer.Typer()


@app.command(epilog='Example: blipvino caption blip-vqa photo.jpg holidays/ --prompt "a picture of"')
@with_image_text_options
def caption(
    context: typer.Context,
    bundle: BundleArgument,
    images: ImagesArgument,
    options: ImageTextOptions,
    prompt: PromptOption = None,
) -> None:
    """Describe images."""

    def captions(listed: Iterator[Listed]) -> Generator[ImageText]:
        return caption_images(options.load_model(bundle), listed, prompt, options.generation, options.least)

    show_texts(images, (), options, captions)
