"""A listing has each row once, as many as are asked for, in the stretch where it comes first."""

import pickle

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.on_ray.ray_stretches import list_stretches
from blipvino.batch.row_selection import RowSelection, Sample, Share
from blipvino.batch.sources.listed_rows import ListedRows
from blipvino.batch.sources.photo_files import PhotoFiles


class Given:
    """A source of given ids, in partitions."""

    name = "given"

    def __init__(self, *partitions, quick=True):
        self._partitions = partitions
        self.lists_quickly = quick

    def partitions(self):
        return (ListedRows(tuple(InputRow(name, b"") for name in each)) for each in self._partitions)


def listed(source, selection=None):
    listing = list_stretches(source, selection or RowSelection(), pickle.dumps)
    rows = [[row.id for row in pickle.loads(each).rows()] for each in listing.stretches]
    return listing, rows


def test_each_id_once_where_it_comes_first():
    listing, rows = listed(Given("abca", "cdd", "e"))
    assert rows == [["a", "b", "c"], ["d"], ["e"]]
    assert (listing.rows, listing.duplicates, listing.duplicate_ids) == (5, 3, ["a", "c", "d"])


def test_a_limit_counts_as_one_process_counts():
    for limit in range(1, 9):
        source, selection = Given("abca", "cdd", "e"), RowSelection(limit=limit)
        _, rows = listed(source, selection)
        assert [name for each in rows for name in each] == list(dict.fromkeys(selection.ids(source)))


def test_what_is_not_listed_quickly_is_not_read_ahead():
    listing, rows = listed(Given("aab", "bc", quick=False))
    assert rows == [["a", "b"], ["b", "c"]]  # who lists does not know that b comes twice
    assert (listing.rows, listing.duplicates) == (None, 0)


def test_selections_are_those_of_one_process(photos):
    source = PhotoFiles(str(photos))
    for selection in (RowSelection(Share(2, 3)), RowSelection(sample=Sample(5, 1)), RowSelection(Share(1, 2), limit=3)):
        listing, rows = listed(source, selection)
        expected = list(selection.ids(source))
        assert [name for each in rows for name in each] == expected
        assert listing.rows == len(expected)
