"""The command line under test, in a process of its own or in this one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from blipvino.cli.main import app
from blipvino.errors import InputError


def run(*arguments: object, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which must end with this exit status; what it printed, as text."""
    command = [sys.executable, "-m", "blipvino", *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert process.returncode == code, process.stderr
    return process


def refused(*arguments: object) -> InputError:
    """The error that a command is refused with, without the seconds that a process takes to start."""
    with pytest.raises(InputError) as refusal:
        app([*map(str, arguments)], standalone_mode=False)
    return refusal.value
