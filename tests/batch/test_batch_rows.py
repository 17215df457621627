"""Rows before and after."""

import os
import pickle

import pytest

from blipvino.batch.batch_rows import InputRow, OutputRow
from blipvino.batch.remote_files import is_url
from blipvino.errors import ImageError


def test_a_row_is_read_from_wherever_it_is(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"pixels")
    place = str(tmp_path / "a.jpg")
    assert InputRow("a", place).read() == b"pixels"
    assert InputRow("a", f"file://{place}").read() == b"pixels"
    assert InputRow("a", b"bytes").read() == b"bytes"
    assert InputRow("a", place).path == tmp_path / "a.jpg"
    assert InputRow("a", f"file://{place}").path is None
    assert InputRow("a", b"bytes").location is None


def test_what_cannot_be_read_says_why(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for image in (str(tmp_path / "none.jpg"), str(tmp_path), str(tmp_path / "pipe"), "a\0b", "nosuch://place/a.jpg"):
        with pytest.raises(ImageError):
            InputRow("a", image).read()
    with pytest.raises(ImageError, match="no image in this record"):
        InputRow("a", None, error="no image in this record").read()
    with pytest.raises(ImageError, match="a: has no image"):
        InputRow("a", None).read()


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("s3://bucket/a b.jpg", True),
        ("simplecache::s3://bucket/a.jpg", True),
        ("photos/a.jpg", False),
        ("/photos/http://a.jpg", False),
        ("C:/a.jpg", False),
        ("", False),
    ],
)
def test_urls_are_told_from_paths(place, url):
    assert is_url(place) is url


def test_rows_cross_processes():
    rows = [InputRow("a", b"x", "what?"), OutputRow("a", None, ("what?",), {"answer": ["it"]})]
    assert pickle.loads(pickle.dumps(rows)) == rows
