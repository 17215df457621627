"""What the overflow fix is worth on this machine: SQNR in dB of quantized graphs by the CPU's own 8-bit kernels.

python -m benchmarks.overflow demo
python -m benchmarks.overflow FOLDER --graphs vision --calibration-samples 8 --data folder:photos

Each graph alone, on what the float graphs before it make of the data, beside the float graph. "Exact" is the same
quantized graph with its activations rounded to 8 bits and multiplied in float32: what is missing from there to the
kernels is what they clamp.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino as ov

from blipvino.checkpoint.tensors import Checkpoint, load_checkpoint
from blipvino.compress.calibration import CalibrationSet, Inputs, prepare_calibration
from blipvino.compress.compressor import Compressor
from blipvino.compress.floats import through
from blipvino.compress.graph_inputs import GraphInputs
from blipvino.data import DEFAULT_SAMPLES, DEFAULT_SEED, open_source, take
from blipvino.demo import resolve
from blipvino.graphs.building import build_graph
from blipvino.machine.core import openvino_core
from blipvino.machine.host import this_host
from blipvino.machine.number_formats import EXACT_SETTINGS, settings_under_limit
from blipvino.metrics.sqnr import Fidelity
from blipvino.optimization.preprocessing import write_preprocessing
from blipvino.progress import Reporter
from blipvino.recipe import PTQ_INT8

WITHOUT_SMOOTHING = replace(PTQ_INT8, smooth_quant_alpha=-1)
TREATMENTS = tuple(replace(base, overflow_fix=fix) for base in (PTQ_INT8, WITHOUT_SMOOTHING) for fix in (False, True))
ARITHMETICS = ("kernels", "exact")
SILENT = Reporter(show=False)


def load_samples(checkpoint: Checkpoint, source: str, count: int) -> CalibrationSet:
    """Samples as the checkpoint's graphs read them, a question an image."""
    with TemporaryDirectory() as folder:
        processors = write_preprocessing(checkpoint, Path(folder))
    samples = take(open_source(source), count, DEFAULT_SEED, spread=True)
    return prepare_calibration(samples, processors.images, processors.texts, SILENT)


def graph_inputs(checkpoint: Checkpoint, graph: str, samples: CalibrationSet) -> list[Inputs]:
    """Whole inputs of a graph, made by the float graphs before it."""
    made = GraphInputs(checkpoint, samples, SILENT)
    writer = made.writer(graph)
    given = made.of(graph)
    return list(given if writer is None else map(through(writer), given))


def compare(model: ov.Model, original: ov.Model, inputs: Sequence[Inputs]) -> Iterator[Fidelity]:
    """All outputs of a quantized graph together, by each of `ARITHMETICS`, beside its original's."""
    core = openvino_core()
    exact = dict(EXACT_SETTINGS)
    float_graph = core.compile_model(original, "CPU", exact)
    for options in (settings_under_limit(core, this_host()), exact):
        compiled, total = core.compile_model(model, "CPU", options), Fidelity()
        for given in inputs:
            expected, found = float_graph(given).values(), compiled(given).values()
            total = sum(map(Fidelity.of, expected, found), start=total)
        yield total


def measure(options: argparse.Namespace) -> Iterator[str]:
    """The rows of the table, as Markdown."""
    graphs = options.graphs.split(",")
    yield f"| | {' | '.join(f'`{graph}`, {name}' for graph in graphs for name in ARITHMETICS)} |"
    yield "|---" * (1 + len(graphs) * len(ARITHMETICS)) + "|"
    with load_checkpoint(resolve(options.checkpoint)) as checkpoint:
        seen = load_samples(checkpoint, options.calibration, options.calibration_samples)
        compressor = Compressor(checkpoint, seen, SILENT)
        asked = load_samples(checkpoint, options.data, options.samples)
        inputs = {graph: graph_inputs(checkpoint, graph, asked) for graph in graphs}
        for treatment in TREATMENTS:
            cells = []
            for graph in graphs:
                model, original = compressor.compress(graph, treatment), build_graph(checkpoint, graph)
                cells += [f"{found.sqnr:.1f}" for found in compare(model, original, inputs[graph])]
            yield f"| `{treatment}` | {' | '.join(cells)} |"


def main() -> None:
    """Parse the command line, print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="demo, or a checkpoint's folder")
    parser.add_argument("--graphs", default="vision,question_kv,question")
    parser.add_argument("--data", default="demo:test", help="what the graphs are compared on")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--calibration", default="demo")
    parser.add_argument("--calibration-samples", type=int, default=DEFAULT_SAMPLES)
    for row in measure(parser.parse_args()):
        print(row, flush=True)


if __name__ == "__main__":
    main()
