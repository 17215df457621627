"""Which rows a run is about."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.row_selection import RowSelection, Sample, Share
from blipvino.batch.sources.listed_rows import ListedRows
from blipvino.errors import InputError

NAMES = st.lists(st.text(max_size=4), unique=True, max_size=40)


class Rows:
    """A source of these ids, two a partition; those of a keyed one go together."""

    name, lists_quickly = "rows", True

    def __init__(self, names, keyed=False):
        self.names = names
        self.keyed = keyed

    def partitions(self):
        for first in range(0, len(self.names), 2):
            rows = tuple(InputRow(name, b"") for name in self.names[first : first + 2])
            yield ListedRows(rows, str(first) if self.keyed else None)


def ids(source, *parts):
    selection = RowSelection(*parts)
    found = [row.id for row in selection.rows(source)]
    assert found == list(selection.ids(source))
    return found


@given(NAMES, st.integers(1, 5), st.booleans())
def test_shares_are_all_of_it_and_do_not_overlap(names, of, keyed):
    source = Rows(names, keyed)
    shares = [ids(source, Share(number, of)) for number in range(1, of + 1)]
    assert sorted(itertools.chain.from_iterable(shares)) == sorted(names)
    if keyed:
        for first in range(0, len(names), 2):
            assert sum(names[first] in share for share in shares) == 1


@given(NAMES, st.text(max_size=4), st.integers(1, 5))
def test_a_row_stays_in_its_share_whatever_else_comes(names, new, of):
    before = ids(Rows(names), Share(1, of))
    after = ids(Rows([new, *(name for name in names if name != new)]), Share(1, of))
    assert set(before) - {new} == set(after) - {new}


@given(NAMES, st.integers(1, 45), st.integers(0, 3))
def test_samples_have_their_size_and_grow(names, size, seed):
    drawn = ids(Rows(names), None, Sample(size, seed))
    assert len(drawn) == min(size, len(names))
    assert set(drawn) <= set(ids(Rows(names), None, Sample(size + 1, seed)))
    assert drawn == [name for name in names if name in set(drawn)]


def test_a_limit_takes_the_first_and_reads_no_further():
    def endless():
        yield from (f"{number}" for number in range(3))
        raise AssertionError

    assert ids(Rows(list("abc")), None, None, 2) == ["a", "b"]
    selection = RowSelection(limit=3)
    source = Rows([])
    source.partitions = lambda: (ListedRows((InputRow(name, b""),)) for name in endless())
    assert len(list(selection.rows(source))) == 3


@pytest.mark.parametrize("text", ["", "3", "3/", "/3", "0/3", "4/3", "a/b", "-1/3", "1/0", f"1/{'9' * 5000}"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(InputError, match="--shard is"):
        Share.parsed(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "a", "3:", "3:a", "9" * 5000, f"3:{'9' * 5000}"])
def test_what_is_no_sample_is_refused(text):
    with pytest.raises(InputError, match="--sample is"):
        Sample.parsed(text)


def test_what_is_one_is_taken():
    assert Share.parsed("3/16") == Share(3, 16)
    assert Share(3, 16).folder == "03-of-16"
    assert Sample.parsed("100:7") == Sample(100, 7)
    assert Sample.parsed("100") == Sample(100, 0)
    with pytest.raises(InputError, match="--limit"):
        RowSelection(limit=0)
