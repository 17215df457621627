"""Rows that end where they fail."""

import pytest

from blipvino.batch.rows_until_failure import RowsUntilFailure
from blipvino.errors import DataError


class Failing:
    """Fails at the third row, and would go on after it."""

    def __init__(self, error):
        self.number = 0
        self.error = error

    def __iter__(self):
        return self

    def __next__(self):
        self.number += 1
        if self.number == 3:
            raise self.error
        return self.number


def test_what_came_before_a_failure_is_given_and_nothing_after_it():
    rows = RowsUntilFailure(Failing(DataError("it ends here")))
    assert (list(rows), list(rows)) == ([1, 2], [])
    assert str(rows.failure) == "it ends here"


def test_rows_that_end_by_themselves_have_no_failure():
    rows = RowsUntilFailure(iter([1, 2]))
    assert list(rows) == [1, 2]
    assert rows.failure is None


def test_what_is_no_refusal_is_raised():
    rows = RowsUntilFailure(Failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        list(rows)
