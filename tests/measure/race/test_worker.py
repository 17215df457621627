"""Workers: what runs in a process of its own may fail."""

import os

import pytest

from blipvino.measure.race.worker import ContenderError, run_apart


def test_what_runs_apart_may_fail(tmp_path):
    assert run_apart(abs, -3, log=tmp_path / "log") == 3
    with pytest.raises(ValueError):
        run_apart(int, "x", log=tmp_path / "log")
    with pytest.raises(ContenderError, match="died"):
        run_apart(os._exit, 3, log=tmp_path / "log")
