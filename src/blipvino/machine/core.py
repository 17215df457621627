"""OpenVINO's entry point, one for the process.

Each `ov.Core` that has met the CPU gives this thread a signal stack of its own; when it is freed it puts back the one
that it found. Unless the last made is the first freed, that one is of a Core which is dead by then, and the next
signal, Ctrl-C say, is handled on memory that is gone. So there is one, and it stays.
"""

from __future__ import annotations

from pathlib import Path

import openvino as ov

_CORE = ov.Core()  # made with the module, under import's lock: of two threads that come first none makes a second


def openvino_core() -> ov.Core:
    """The process's one `ov.Core`. Set nothing on it: give properties with each graph that is compiled."""
    return _CORE


def read_ir(path: Path) -> ov.Model:
    """The graph of an IR's ``.xml``.

    OpenVINO is given text: to read a path it runs Python, in which a signal may come, which it takes for a fault of its
    own.

    Raises:
        RuntimeError: OpenVINO's, where it is no graph.
    """
    return openvino_core().read_model(str(path))
