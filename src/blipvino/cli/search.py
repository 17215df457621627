"""``blipvino search``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from blipvino.cli.browser import open_page
from blipvino.cli.options import (
    DEFAULT_CACHE,
    Arithmetic,
    ArithmeticOption,
    CacheOption,
    DeviceOption,
    JsonFlag,
    NoCacheFlag,
    OpenFlag,
    Precision,
    PrecisionOption,
)
from blipvino.cli.output import console, print_error, print_json
from blipvino.cli.retriever_loading import ModelOptions
from blipvino.cli.unused_options import refuse_unused
from blipvino.errors import InputError
from blipvino.files.atomic import check_html, write_text
from blipvino.machine.devices import CPU
from blipvino.text.printable import printable

if TYPE_CHECKING:
    from blipvino.retrieval import Found, Hit

IndexArgument = Annotated[Path, typer.Argument(help="An index, as `blipvino index` makes it.")]
TextArgument = Annotated[str | None, typer.Argument(help="What the photos show.", metavar="[TEXT]")]
ImageOption = Annotated[
    Path | None, typer.Option(help="Photos like this one; with a text, those of them that the text fits best.")
]
HitsOption = Annotated[int, typer.Option("--top", "-k", min=1, help="Photos to find.")]
RerankOption = Annotated[
    int, typer.Option(min=1, help="Nearest photos that are looked at again, together with the text.", metavar="N")
]
NoRerankFlag = Annotated[bool, typer.Option("--no-rerank", help="Rank by the index alone: faster, less exact.")]
KeepOption = Annotated[
    int,
    typer.Option("--keep-mb", min=0, help="Megabytes to keep of what was seen in photos, for later searches; 0: none."),
]
BundleOption = Annotated[
    Path | None, typer.Option("--bundle", "-b", help="The bundle that the index was made with, where it is elsewhere.")
]
HtmlOption = Annotated[Path | None, typer.Option("--html", help="Write an HTML page with thumbnails.", metavar="PAGE")]

app = typer.Typer()


@app.command(
    epilog='Example: blipvino search photos.index "a red circle above a square" -k 20 --html found.html --open'
)
def search(
    context: typer.Context,
    index: IndexArgument,
    text: TextArgument = None,
    image: ImageOption = None,
    hits: HitsOption = 10,
    rerank: RerankOption = 32,
    no_rerank: NoRerankFlag = False,
    keep_mb: KeepOption = 1000,
    bundle: BundleOption = None,
    html: HtmlOption = None,
    show: OpenFlag = False,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticOption = Arithmetic.auto,
    device: DeviceOption = CPU,
    cache: CacheOption = DEFAULT_CACHE,
    no_cache: NoCacheFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Find photos by what they show: the nearest in an index, those first that the text fits best."""
    from blipvino.retrieval import PhotoIndex, SearchOptions, search_photos
    from blipvino.retrieval.photo_search import fits_none

    if text is None:
        if image is None:
            raise InputError('give a text, such as "a red circle", or --image, or both')
        refuse_unused(context, ("rerank", "no_rerank", "keep_mb"), "without a text, which photos are ranked by")
    if no_rerank:
        refuse_unused(context, ("rerank", "keep_mb"), "with --no-rerank")
    if html is None:
        refuse_unused(context, ("show",), "without --html, which makes the page")
    else:
        check_html(html)
    with PhotoIndex(index) as opened:
        model = ModelOptions(bundle, precision, arithmetic, device, cache, no_cache).load(context, index)
        options = SearchOptions(hits, 0 if no_rerank else rerank, keep_mb * 10**6)
        found = search_photos(opened, model, text, image, options)
        photos = opened.counts().photos
    _tell_missing(found)
    if fits_none(found.hits):
        print_error("the text seems to fit none of the photos that were found, which are the nearest")
    if html is not None:
        _write_page(html, text, image, index, photos, found.hits)
    if as_json:
        print_json([hit.to_json() for hit in found.hits])
    elif html is None:
        console.print(hits_table(found.hits))
    else:
        typer.echo(f"Page: {html.resolve().as_uri()}")
    if html is not None and show:
        open_page(html)


def hits_table(hits: Sequence[Hit]) -> Table:
    """Hits, best first: those that were not ranked by the text have no probability."""
    table = Table()
    table.add_column("", justify="right")
    ranked = any(hit.probability is not None for hit in hits)
    if ranked:
        table.add_column("probability", justify="right")
    table.add_column("similarity", justify="right")
    table.add_column("photo", overflow="fold")
    for number, hit in enumerate(hits, start=1):
        chance = "" if hit.probability is None else f"{hit.probability:.1%}"
        copies = "".join(f"\n= {_shown(copy)}" for copy in hit.copies)
        row = [f"{number}", *([chance] if ranked else []), f"{hit.similarity:.3f}", f"{_shown(hit.path)}{copies}"]
        table.add_row(*map(Text, row))
    return table


def _shown(path: Path) -> str:
    """A path from where the user is, if it is below."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return printable(str(shown))


def _tell_missing(found: Found) -> None:
    if found.missing:
        first = found.missing[0]
        more = f" and {len(found.missing) - 1} more" if len(found.missing) > 1 else ""
        print_error(f"passed over: {first}{more}, not there as when the index was made; run `blipvino index` again")


def _write_page(
    page: Path, text: str | None, image: Path | None, index: Path, photos: int, hits: Sequence[Hit]
) -> None:
    from blipvino.retrieval.search_page import SearchPage, search_page

    write_text(page, search_page(SearchPage(text, image, index, photos, hits)))
