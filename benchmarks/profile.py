"""Where a graph's time goes, by kind of operation, as OpenVINO's performance counters have it.

python -m benchmarks.profile BUNDLE vision
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import openvino as ov

from blipvino.bundle.bundle import open_bundle
from blipvino.machine.core import openvino_core
from blipvino.machine.host import this_host
from blipvino.machine.number_formats import settings_under_limit
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.compiling.sizes import Sizes, reshaped

WARM_UP, RUNS = 3, 10


def main() -> None:
    """Parse the command line, run the graph on zeros, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("graph", help="vision, question_kv, question, answer_kv or answer")
    parser.add_argument("--positions", type=int, default=577, help="of the source")
    parser.add_argument("--tokens", type=int, default=1, help="of the text")
    options = parser.parse_args()
    path = open_bundle(options.bundle, verify=False).path(f"{options.graph}.xml")
    seconds = profile(path, Sizes(1, options.positions, 1, options.tokens))
    whole = sum(seconds.values())
    print(f"{options.graph}: {whole * 1e3:.1f} ms in operations")
    for kind, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        if spent > 0.005 * whole:
            print(f"{spent * 1e3:8.2f} ms {spent / whole:6.1%}  {kind}")


def profile(path: Path, sizes: Sizes) -> dict[str, float]:
    """Mean seconds of a run by type of node and implementation."""
    core = openvino_core()
    model = core.read_model(path)
    reshaped(model, path.stem, sizes)
    request = core.compile_model(
        model, "CPU", EngineOptions().properties() | settings_under_limit(core, this_host()) | {"PERF_COUNT": True}
    ).create_infer_request()
    for port in request.model_inputs:
        request.set_tensor(port, ov.Tensor(np.zeros(list(port.shape), port.get_element_type().to_dtype())))
    seconds: dict[str, float] = defaultdict(float)
    for run in range(WARM_UP + RUNS):
        request.reset_state()
        request.infer()
        if run >= WARM_UP:
            for node in request.profiling_info:
                seconds[f"{node.node_type} {node.exec_type}"] += node.real_time.total_seconds() / RUNS
    return seconds


if __name__ == "__main__":
    main()
