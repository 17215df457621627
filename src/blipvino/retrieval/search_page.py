"""What was found as one HTML file: thumbnails in it, loading nothing, with no script, for light and dark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from blipvino.errors import ImageError
from blipvino.files.data_urls import jpeg_url
from blipvino.machine.versions import installed_version
from blipvino.retrieval.photo_search import Hit, fits_none
from blipvino.runtime.inputs.images import ImageSource, load_image
from blipvino.text.html_page import html_page
from blipvino.text.markup import Markup, element
from blipvino.text.printable import printable

THUMBNAIL = (480, 480)
"""Pixels at the most: sharp on a screen of two pixels a point."""
JPEG_QUALITY = 80


@dataclass(frozen=True)
class SearchPage:
    """What a page shows.

    Attributes:
        text: that was searched for; None where it was an image alone.
        image: that was searched for.
        index: where it was searched.
        photos: in the index.
        hits: best first.
    """

    text: str | None
    image: Path | None
    index: Path
    photos: int
    hits: Sequence[Hit]


def search_page(page: SearchPage) -> str:
    """The file's text."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        thumbnails = list(pool.map(_thumbnail, [hit.path for hit in page.hits]))
    query = page.text if page.text is not None else f"Photos like {printable(page.image.name if page.image else '')}"
    cards = [
        _card(number, hit, thumbnail)
        for number, (hit, thumbnail) in enumerate(zip(page.hits, thumbnails, strict=True), start=1)
    ]
    found = element("ol", *cards) if cards else element("p", "No photos in this index.", class_="none")
    made = f"Made by blipvino {installed_version('blipvino')}."
    main = element("main", _header(page, query), found, element("footer", made))
    style = files(__package__).joinpath("search.css").read_text(encoding="utf-8")
    return html_page(f"{query} – blipvino search", style, main)


def _header(page: SearchPage, query: str) -> Markup:
    shown = None if page.image is None else _thumbnail(page.image)
    picture = None if shown is None else element("img", src=shown, alt="The image that was searched for")
    told = f"{len(page.hits)} of {page.photos:,} photos in {printable(str(page.index))}"
    if any(hit.probability is not None for hit in page.hits):
        told += ", those first that the text fits best, each with how probable it is that it does"
    if fits_none(page.hits):
        told += ". The text seems to fit none of them."
    title = element("div", element("p", "blipvino search", class_="kicker"), element("h1", query))
    return element("header", picture, element("div", title, element("p", told, class_="told")))


def _card(number: int, hit: Hit, thumbnail: str | None) -> Markup:
    name, folder = printable(hit.path.name), printable(str(hit.path.parent))
    picture = element("img", src=thumbnail, alt=name, loading="lazy") if thumbnail else element("span", "no picture")
    share = hit.similarity if hit.probability is None else hit.probability
    score = f"{hit.similarity:.3f} similar" if hit.probability is None else f"fits: {hit.probability:.1%}"
    width = f"width:{100 * min(max(share, 0), 1):.1f}%"
    rank, told = element("span", f"{number}", class_="rank"), f"Similarity {hit.similarity:.3f}"
    facts = element(
        "div",
        element("div", rank, element("span", score, class_="score"), class_="line"),
        element("div", element("span", style=width), class_="bar", aria_hidden="true"),
        element("span", name, class_="name"),
        element("p", folder, class_="path"),
        *(element("p", f"Also {printable(str(copy))}", class_="path") for copy in hit.copies),
        class_="facts",
        title=told,
    )
    return element("li", element("a", element("div", picture, class_="frame"), facts, href=hit.path.as_uri()))


def _thumbnail(path: ImageSource) -> str | None:
    try:
        return jpeg_url(load_image(path, least=max(THUMBNAIL)), THUMBNAIL, JPEG_QUALITY)
    except ImageError:  # it has gone since it was found
        return None
