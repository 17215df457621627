"""Several processes that serve: when there is no use in another."""

from __future__ import annotations

import os
from pathlib import Path

from blipvino.serve import workers
from blipvino.serve.serve_settings import Place, ServeSettings
from blipvino.serve.server import bound_socket
from blipvino.serve.workers import WorkerGroup


def test_workers_that_end_before_they_serve_are_given_up(monkeypatch, capsys):
    monkeypatch.setattr(workers, "_MOST_EARLY_ENDS", 4)
    monkeypatch.setattr(workers, "serve_worker", os.getpid)  # which takes no arguments: the process ends with status 1
    settings = ServeSettings((Place("demo", Path("nowhere")),), workers=2)
    with bound_socket("127.0.0.1", 0) as listening:
        assert WorkerGroup(settings, [listening]).run() == 1
    assert "4 workers ended soon after they began" in capsys.readouterr().err
