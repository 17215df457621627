"""Of the work that waits, what had the least time is next."""

from __future__ import annotations

import threading
import time

import pytest

from blipvino.runtime.scheduling.turns import Turns, Work


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("blipvino.runtime.scheduling.turns.time.monotonic", lambda: self.now)


def in_turn(turns, work, done):
    """A thread that waits for its turn; it is waiting when this returns."""

    def wait():
        with turns.turn(work):
            done.append(work)

    waiting = sum(turns._waiting.values())
    thread = threading.Thread(target=wait)
    thread.start()
    while sum(turns._waiting.values()) == waiting:
        time.sleep(0.001)
    return thread


def test_what_had_the_least_time_is_next(monkeypatch):
    clock, turns, done = Clock(monkeypatch), Turns(), []
    with turns.turn(Work.IMAGES):
        clock.now += 3.0
    with turns.turn(Work.CAPTIONS):
        clock.now += 2.0
        threads = [in_turn(turns, work, done) for work in (Work.IMAGES, Work.ANSWERS)]
    for thread in threads:
        thread.join()
    assert done == [Work.ANSWERS, Work.IMAGES]


def test_what_begins_again_has_no_claim_to_the_time_before(monkeypatch):
    """An hour of images is no reason to do an hour of answers."""
    clock, turns, done = Clock(monkeypatch), Turns(), []
    with turns.turn(Work.IMAGES):
        clock.now += 3600.0
    with turns.turn(Work.IMAGES):
        threads = [in_turn(turns, Work.IMAGES, done), in_turn(turns, Work.ANSWERS, done)]
        # It was first, by its credit; when it has used that, images are.
        assert turns._next is Work.ANSWERS
    for thread in threads:
        thread.join()
    with turns.turn(Work.ANSWERS):
        clock.now += 1.0
    with turns.turn(Work.CAPTIONS):
        threads = [in_turn(turns, work, done) for work in (Work.ANSWERS, Work.IMAGES)]
        assert turns._next is Work.IMAGES
    for thread in threads:
        thread.join()
    assert done[0] is Work.ANSWERS and done[2] is Work.IMAGES


@pytest.mark.parametrize(("cores", "at_once"), [(1, 1), (2, 1), (7, 1), (8, 2), (32, 8)])
def test_many_cores_have_room_for_several(cores, at_once):
    turns, inside, most = Turns.of_cores(cores), [], []
    barrier = threading.Barrier(at_once, timeout=60)

    def work():
        with turns.turn(Work.IMAGES):
            inside.append(1)
            most.append(len(inside))
            barrier.wait()
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(2 * at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 2 * at_once and max(most) <= at_once


def test_an_error_ends_the_turn():
    turns = Turns()
    with pytest.raises(ValueError, match="mine"), turns.turn(Work.CAPTIONS):
        raise ValueError("mine")
    with turns.turn(Work.CAPTIONS):
        pass
