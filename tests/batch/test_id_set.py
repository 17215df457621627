"""Ids in little memory are a set like any other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blipvino.batch import id_set
from blipvino.batch.id_set import IdSet


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(id_set, "_NEW", 4)


@given(st.lists(st.text(max_size=3)), st.lists(st.text(max_size=3)))
def test_it_is_a_set(added, asked):
    known, ids = set(), IdSet()
    for name in added:
        assert ids.add(name) is (name not in known)
        known.add(name)
        assert len(ids) == len(known)
    for name in asked:
        assert (name in ids) is (name in known)


def test_it_keeps_many(monkeypatch):
    ids = IdSet()
    for number in range(5000):
        assert ids.add(str(number))
    assert len(ids) == 5000
    assert all(str(number) in ids for number in range(5000))
    assert not any(str(number) in ids for number in range(5000, 10000))
    assert sum(map(len, ids._sorted)) + len(ids._new) == 5000
    assert len(ids._sorted) < 12


def test_digests_that_end_in_zeros_are_found(monkeypatch):
    monkeypatch.setattr(id_set, "_digest", lambda name: name.encode().ljust(16, b"\0"))
    ids = IdSet()
    names = ["", "a", "a\0b", "ab", "abc", "b", "ba"]
    for name in names:
        assert ids.add(name)
    assert not any(ids.add(name) for name in names)
    assert "abcd" not in ids
