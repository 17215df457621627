"""The page of what was found: complete in itself, and harmless whatever files are called."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

from retrieval_subjects import photo

from blipvino.retrieval.photo_search import Hit
from blipvino.retrieval.search_page import SearchPage, search_page


class Elements(HTMLParser):
    """All elements with their attributes; each must be closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts, self._open = [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_a_page_has_all_that_was_found_in_itself(tmp_path):
    hits = [
        Hit(photo(tmp_path / "a b.png", "red"), 0.5, 0.987, (tmp_path / "copy.png",)),
        Hit(photo(tmp_path / "deep" / "c.png", "green"), 0.25),
        Hit(tmp_path / "gone.png", 0.1, 0.01),
    ]
    text = search_page(SearchPage("a red circle", None, tmp_path / "index", 1234, hits))
    page = Elements(text)
    assert [image["alt"] for image in page.of("img")] == ["a b.png", "c.png"]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.of("img"))
    assert [link["href"] for link in page.of("a")] == [hit.path.as_uri() for hit in hits]
    explained = "those first that the text fits best, each with how probable it is that it does"
    copied = f"Also {tmp_path / 'copy.png'}"
    for told in ("a red circle", "fits: 98.7%", explained, "0.250 similar", "3 of 1,234 photos in", copied):
        assert any(told in part for part in page.texts), told
    assert not page.of("script") and not page.of("link")
    assert not re.search(r"url\(|@import|https?:", text)
    assert "prefers-color-scheme: dark" in text


def test_texts_and_names_become_no_markup(tmp_path):
    name = '"><script>alert(1)</script>&.png'.replace("/", "_")
    hits = [Hit(photo(tmp_path / name, "red"), 0.5, 0.9), Hit(tmp_path / os.fsdecode(b"\xff<b>.png"), 0.4)]
    text = search_page(SearchPage("<script>alert('x')</script> & more", None, Path("i<b>"), 2, hits))
    page = Elements(text)
    assert not page.of("script") and not page.of("b")
    assert "<script>alert('x')</script> & more" in page.texts
    assert page.of("img")[0]["alt"] == name
    text.encode("utf-8")


def test_an_image_that_was_searched_for_is_shown(tmp_path):
    asked = photo(tmp_path / "asked.png", "blue")
    page = Elements(search_page(SearchPage(None, asked, tmp_path, 0, [])))
    assert "Photos like asked.png" in page.texts
    assert len(page.of("img")) == 1
    assert "No photos in this index." in page.texts
