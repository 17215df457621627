"""Writing graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.compress.storage import save_graph


class _Interrupted(type(Path())):
    """A path in whose reading a signal comes, as it may whenever Python runs."""

    def __fspath__(self):
        raise SystemExit(143)


def test_no_signal_is_taken_for_a_fault_of_writing(tmp_path):
    """OpenVINO reads a path by Python, and tells whatever is raised there as an error of its own."""
    x = ops.parameter([1, 2], np.float32, "x")
    save_graph(ov.Model([ops.result(x)], [x], "small"), _Interrupted(tmp_path / "small.xml"))
    assert (tmp_path / "small.xml").is_file()
