"""``blipvino caption``."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Annotated

import typer

from blipvino.cli.image_texts import ImageText, Reranker, caption_images
from blipvino.cli.looked_ahead import LookedAhead
from blipvino.cli.options import BundleArgument, ImageTextOptions, with_image_text_options
from blipvino.cli.texts_of_photos import show_texts
from blipvino.cli.unused_options import refuse_unused
from blipvino.errors import InputError
from blipvino.photos.listing import Listed
from blipvino.runtime.reranking import DEFAULT_BEST_OF

ImagesArgument = Annotated[
    list[str], typer.Argument(help="Image files, folders, patterns; - reads paths from standard input, one a line.")
]
PromptOption = Annotated[str | None, typer.Option(help="Text that the caption continues.")]

RerankOption = Annotated[
    Path | None,
    typer.Option(
        help="Draw several captions of each image, and take the one that fits it best, as this bundle for retrieval "
        "finds; with --do-sample."
    ),
]
BestOfOption = Annotated[int, typer.Option(help="Of --rerank: captions to draw of each image.")]

app = typer.Typer()


@app.command(epilog='Example: blipvino caption blip-vqa photo.jpg holidays/ --prompt "a picture of"')
@with_image_text_options
def caption(
    context: typer.Context,
    bundle: BundleArgument,
    images: ImagesArgument,
    options: ImageTextOptions,
    prompt: PromptOption = None,
    rerank: RerankOption = None,
    best_of: BestOfOption = DEFAULT_BEST_OF,
) -> None:
    """Describe images."""
    if rerank is None:
        refuse_unused(context, ("best_of",), "without --rerank")
    elif not options.generation["do_sample"]:
        raise InputError("--rerank chooses among captions that are drawn; add --do-sample")

    def captions(listed: Iterator[Listed]) -> Generator[ImageText]:
        ahead = LookedAhead(listed)
        blip = options.load_model(bundle, ahead.paths)
        reranker = None if rerank is None else Reranker(options.load_retriever(rerank), best_of)
        return caption_images(blip, ahead, prompt, options.generation, options.least, reranker)

    show_texts(images, (), options, captions)
