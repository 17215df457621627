"""Standard input by lines."""

import io
import os
import sys

import pytest

from blipvino.errors import InputError
from blipvino.files.standard_input import standard_input_lines


@pytest.fixture
def input_pipe(monkeypatch):
    """The end of a pipe that standard input reads from."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as source, os.fdopen(writing, "wb", buffering=0) as pipe:
        monkeypatch.setattr(sys, "stdin", source)
        yield pipe


def test_a_line_is_there_before_the_next_is_written(input_pipe):
    lines = standard_input_lines()
    for line in (b"a.jpg", b"", b"\xff b.jpg"):
        input_pipe.write(line + b"\n")
        assert next(lines) == line


def test_lines_of_any_length_and_a_last_one_without_its_end(input_pipe):
    lines = standard_input_lines()
    input_pipe.write(b"a\nb")
    assert next(lines) == b"a"
    input_pipe.write(b"c\n\nd\r\n" + b"e" * 30_000 + b"\nf")
    input_pipe.close()
    assert list(lines) == [b"bc", b"", b"d\r", b"e" * 30_000, b"f"]


def test_what_stands_for_it_in_memory(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb")))
    assert list(standard_input_lines()) == [b"a", b"b"]


def test_none_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed; expected paths"):
        next(standard_input_lines())
