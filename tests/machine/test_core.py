"""One `ov.Core` for the process: several, freed in the order made, leave a signal stack that is gone."""

import ast
import signal
import subprocess
import sys
from pathlib import Path

from PIL import Image

import blipvino

LOADED_AND_FREED = """
import os, signal, sys
from blipvino import Blip, EngineOptions
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
first, second = (Blip.load(sys.argv[1], options=EngineOptions(threads=1)) for _ in range(2))
for blip in (first, second):
    blip.caption(sys.argv[2], max_new_tokens=2)
del blip, first, second
os.kill(os.getpid(), signal.SIGINT)
"""


def test_an_interrupt_after_two_models_were_freed_is_an_exception(tiny_captioner, tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "picture.png")
    command = [sys.executable, "-c", LOADED_AND_FREED, tiny_captioner.bundle, tmp_path / "picture.png"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode != -signal.SIGSEGV
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")


def test_no_other_core_is_made():
    """`ov.compile_model` makes one too."""
    root = Path(blipvino.__file__).parent
    makes = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("ov.Core", "ov.compile_model")
    ]
    assert makes == ["machine/core.py"]
