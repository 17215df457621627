"""The Python interpreters of this machine that blipvino is to run on."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")


def interpreter(version):
    """A program that is this version of Python and can make environments; None where there is none at hand."""
    return next((found for found in _candidates(version) if _is(found, version)), None)


def _candidates(version):
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted((root / "versions").glob(f"{version}.*/bin/python"), reverse=True))


def _is(program, version):
    """Whether it runs (pyenv puts programs on the path that only say that they are switched off)."""
    said = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([program, "-c", said], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version
