"""Items that come one by one: it is known whether the next one is there."""

import threading
import time

import pytest

from blipvino.cli.arrivals import Arrivals, Peeked


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to pass")


def test_what_is_waited_for_has_not_arrived():
    going_on = threading.Event()

    def items():
        yield 1
        going_on.wait(60)
        yield 2

    arrivals = Arrivals(items(), 4)
    assert next(arrivals) == 1
    assert not arrivals.has_arrived()
    going_on.set()
    until(arrivals.has_arrived)
    assert list(arrivals) == [2]
    assert arrivals.has_arrived() and next(arrivals, None) is None


def test_no_more_is_taken_than_said():
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    arrivals = Arrivals(items(), 3)
    until(lambda: len(taken) == 4)  # three that wait, and one in hand
    time.sleep(0.05)
    assert len(taken) == 4
    assert list(arrivals) == list(range(20))


def test_an_error_is_raised_when_its_turn_comes():
    def items():
        yield 1
        raise ValueError("no more")

    arrivals = Arrivals(items(), 4)
    assert next(arrivals) == 1
    with pytest.raises(ValueError, match="no more"):
        next(arrivals)
    assert next(arrivals, None) is None


@pytest.mark.parametrize(("items", "first", "one"), [([], None, False), ([1], 1, True), ([1, 2], 1, False)])
def test_what_was_looked_at_is_still_there(items, first, one):
    peeked = Peeked(iter(items))
    assert peeked.peek() == first and peeked.holds_one == one and peeked.has_arrived()
    assert list(peeked) == items
