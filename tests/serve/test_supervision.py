"""What workers tell the process that started them, and each other."""

from __future__ import annotations

import asyncio
import multiprocessing
from types import SimpleNamespace

import pytest

from blipvino.serve import supervision
from blipvino.serve.supervision import GroupReadiness, Heartbeat, Stethoscope


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(supervision, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def look(heart, clock, seconds, times=1):
    for _ in range(times):
        clock[0] += seconds
        silence = heart.silence()
    return silence


def test_silence_counts_from_the_last_beat(clock):
    heartbeat = Heartbeat(multiprocessing.get_context("spawn"))
    heart = Stethoscope(heartbeat)
    assert look(heart, clock, 0.5, 500) == 0  # it does not serve yet, and may take its time
    asyncio.run(heartbeat.beat())
    assert look(heart, clock, 0.5) == 0
    assert look(heart, clock, 0.5, 40) == 20
    asyncio.run(heartbeat.beat())
    assert look(heart, clock, 0.5) == 0


def test_who_was_stopped_with_the_worker_does_not_blame_it(clock):
    heartbeat = Heartbeat(multiprocessing.get_context("spawn"))
    heart = Stethoscope(heartbeat)
    asyncio.run(heartbeat.beat())
    look(heart, clock, 0.5)
    assert look(heart, clock, 3600.0) == 1


def test_a_group_is_ready_once_all_have_loaded():
    readiness = GroupReadiness(multiprocessing.get_context("spawn"), 2)
    readiness.add()
    assert not readiness.is_complete
    readiness.add()
    assert readiness.is_complete
    readiness.add()  # who replaces one of them
    assert readiness.is_complete
