"""What long work shows, in a terminal and in a notebook."""

import warnings

import pytest
import rich
from rich.progress import track

from blipvino.progress import Reporter


@pytest.fixture
def in_a_notebook(monkeypatch):
    """Consoles are made as in a notebook that has no widgets; the first one's warning about that is an error."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(rich, "_console", None)
    monkeypatch.setitem(__import__("sys").modules, "ipywidgets", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("show", [True, False])
def test_all_items_come_and_bars_are_on_standard_error_alone(show, capsys):
    assert list(Reporter(show).track(range(3), "Counting", 3)) == [0, 1, 2]
    shown = capsys.readouterr()
    assert shown.out == "" and ("Counting" in shown.err) == show


@pytest.mark.parametrize("show", [True, False])
def test_a_notebook_is_shown_text_or_nothing(in_a_notebook, show, capsys):
    reporter = Reporter(show)
    assert list(reporter.track(range(3), "Counting", 3)) == [0, 1, 2]
    with reporter.around_library("a library"):
        assert list(track(range(2), "Theirs")) == [0, 1]  # as NNCF does
    shown = capsys.readouterr()
    assert shown.out == ""
    assert ("Counting" in shown.err) == ("Theirs" in shown.err) == show
    assert rich.get_console().is_jupyter


def test_a_remark_is_said_if_there_is_one(capsys):
    Reporter().remark(None)
    Reporter().remark("photos has only 3 samples of the 300 asked for")
    assert capsys.readouterr().err == "photos has only 3 samples of the 300 asked for\n"
