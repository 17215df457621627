"""Running float graphs over samples: what calibration needs to know of the uncompressed model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import nncf
import numpy as np
import openvino as ov

from blipvino.compress.calibration import Inputs
from blipvino.machine.core import openvino_core

Finished = Callable[[int, ov.InferRequest], None]
"""Takes a sample's number and the request that holds its outputs."""


def run_float(model: ov.Model, inputs: Iterable[Inputs], finished: Finished) -> None:
    """Run a graph over samples in float32, several at a time, in no certain order."""
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    queue = ov.AsyncInferQueue(openvino_core().compile_model(model, "CPU", options))
    queue.set_callback(lambda request, sample: finished(sample, request))
    for sample, given in enumerate(inputs):
        queue.start_async(dict(given), sample)
    queue.wait_all()


def through(writer: ov.Model) -> Callable[[Inputs], Inputs]:
    """A function from a writer's inputs to a reader's: what the writer makes, and what it does not take itself.

    It keeps nothing: keys and values of one image in BLIP-base take 42 MB.
    """
    request = openvino_core().compile_model(writer, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    taken = {port.get_any_name() for port in writer.inputs}

    def run(given: Inputs) -> Inputs:
        request.infer({name: value for name, value in given.items() if name in taken}, share_outputs=True)
        made = {port.get_any_name(): np.array(request.get_tensor(port).data) for port in writer.outputs}
        return {**{name: value for name, value in given.items() if name not in taken}, **made}

    return run


def dataset(inputs: Sequence[Inputs], writer: ov.Model | None = None) -> nncf.Dataset:
    """Calibration inputs as NNCF takes them, floats in 32 bits.

    Args:
        inputs: of the graph.
        writer: a float graph whose outputs are inputs of this one, by name; ``inputs`` has the writer's instead. It
            runs anew whenever NNCF asks.
    """
    return nncf.Dataset(inputs, _in_float32 if writer is None else through(writer))


def _in_float32(given: Inputs) -> Inputs:
    return {name: value.astype(np.float32) if value.dtype.kind == "f" else value for name, value in given.items()}
