"""Several processes that serve: when there is no use in another."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from blipvino.serve import workers
from blipvino.serve.serve_settings import Place, ServeSettings
from blipvino.serve.server import bound_socket
from blipvino.serve.supervision import Flag
from blipvino.serve.workers import WorkerGroup


@pytest.fixture(autouse=True)
def logs_as_before():
    """A group sets up the process's logs, on a stream that is closed after its test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_workers_that_end_before_they_serve_are_given_up(monkeypatch, capsys):
    monkeypatch.setattr(workers, "_MOST_EARLY_ENDS", 4)
    monkeypatch.setattr(workers, "serve_worker", os.getpid)  # which takes no arguments: the process ends with status 1
    settings = ServeSettings((Place("demo", Path("nowhere")),), workers=2)
    with bound_socket("127.0.0.1", 0) as listening:
        assert WorkerGroup(settings, [listening]).run() == 1
    assert "4 workers ended soon after they began" in capsys.readouterr().err


def test_a_group_is_ready_once_all_are_loaded_at_a_time():
    group = WorkerGroup(ServeSettings((Place("demo", Path("nowhere")),), workers=2), [])
    loaded = [Flag(group._context) for _ in range(3)]
    slow, quick, replacement = (SimpleNamespace(loaded=flag) for flag in loaded)
    group._workers = [slow, quick]
    loaded[1].set()
    group._note_readiness()
    group._workers = [slow]  # the other has died
    group._note_readiness()
    group._workers = [slow, replacement]
    loaded[2].set()
    group._note_readiness()
    assert not group._ready.is_set  # as many have loaded as there are, and one still takes what it cannot answer
    loaded[0].set()
    group._note_readiness()
    assert group._ready.is_set
    group._workers = [slow]
    group._note_readiness()
    assert group._ready.is_set
