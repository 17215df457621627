"""Of what stops a text nothing is told, wherever pieces end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blipvino.serve.openai_stops import StoppedText, stopped


@pytest.mark.parametrize(
    ("pieces", "stops", "told"),
    [
        (["a ", "dog ", "runs"], ["dog runs"], ["a ", "", ""]),
        (["a do", "g"], ["dog"], ["a ", ""]),
        (["a do", "or"], ["dog"], ["a ", "door"]),
        (["a do"], ["dog"], ["a ", "do"]),
        (["aab", "c"], ["aabd", "b"], ["aa", ""]),
        (["abc"], [], ["abc", ""]),
        (["x"], ["x"], ["", ""]),
    ],
)
def test_what_may_be_a_beginning_is_held_back(pieces, stops, told):
    text = StoppedText(stops)
    found = [*(text.grown(piece) for piece in pieces), text.rest()]
    assert found == [*told, ""][: len(found)]
    assert text.has_ended == any(stop in "".join(pieces) for stop in stops)


def test_the_stop_that_is_whole_first_ends_the_text():
    assert stopped("abcd", ["abcd", "bc"]) == ("a", True)
    assert stopped("abcd", ["bc", "abc"]) == ("", True)
    assert stopped("abcd", ["x"]) == ("abcd", False)


@given(st.lists(st.text("ab ", max_size=4), max_size=8), st.lists(st.text("ab ", min_size=1, max_size=4), max_size=3))
def test_pieces_are_the_text_however_it_is_cut(pieces, stops):
    text = StoppedText(stops)
    told = [*(text.grown(piece) for piece in pieces), text.rest()]
    assert ("".join(told), text.has_ended) == stopped("".join(pieces), stops)
