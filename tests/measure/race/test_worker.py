"""Workers: what runs in a process of its own may fail."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import race_subjects
from filelock import FileLock

from blipvino.measure.race.worker import ContenderError, run_apart


def test_what_runs_apart_may_fail(tmp_path):
    assert run_apart(abs, -3, log=tmp_path / "log") == 3
    with pytest.raises(ValueError):
        run_apart(int, "x", log=tmp_path / "log")
    with pytest.raises(ContenderError, match="died"):
        run_apart(os._exit, 3, log=tmp_path / "log")


PARENT = """
import sys
from pathlib import Path
from race_subjects import hold
from blipvino.measure.race.worker import run_apart
run_apart(hold, Path(sys.argv[1]), log=Path(sys.argv[2]))
"""


def test_what_runs_apart_ends_with_a_parent_that_is_killed(tmp_path):
    held = tmp_path / "held"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(race_subjects.__file__).parent), *sys.path])}
    command = [sys.executable, "-c", PARENT, held, tmp_path / "log"]
    with subprocess.Popen(command, env=environment) as parent:
        while not held.exists():
            assert parent.poll() is None
            time.sleep(0.05)
        parent.kill()
    with FileLock(f"{held}.lock", timeout=30):  # raises while the worker lives
        pass
