"""What the machine can do at best: memory read bandwidth, and multiply-accumulates a second by number format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset15 as ops

from blipvino.arrays import FloatArray
from blipvino.graphs.convolutions import as_convolutions
from blipvino.machine.core import openvino_core
from blipvino.machine.host import this_host
from blipvino.machine.number_formats import settings_under_limit
from blipvino.machine.record import this_machine
from blipvino.measure.race.speed_results import Peaks
from blipvino.measure.race.timing import best_seconds

LAYERS = 4
"""Matrix products in a row, of which each hands INT8 to the next: the first one's quantization weighs little."""


@dataclass(frozen=True)
class PeakSizes:
    """What is computed to find the peaks.

    Attributes:
        megabytes: of the array that is read.
        matmuls: rows, width and inner width of matrix products.
    """

    megabytes: int = 512
    matmuls: tuple[tuple[int, int, int], ...] = ((2048, 2048, 2048), (577, 768, 3072))


QUICK = PeakSizes(128, ((577, 768, 3072),))


def measure_peaks(sizes: PeakSizes | None = None, threads: int | None = None) -> Peaks:
    """The machine's peaks: the best of several methods and sizes."""
    sizes, machine = sizes or PeakSizes(), this_machine()
    workers = threads or machine.cores
    kinds = ["int8", "f32", *(["bf16"] if "BF16" in machine.capabilities else [])]
    macs = {kind: max(matmul_peak(kind, shape, threads) for shape in sizes.matmuls) for kind in kinds}
    return Peaks(read_bandwidth(sizes.megabytes, workers), macs)


def read_bandwidth(megabytes: int, threads: int) -> float:
    """Bytes read a second, the best of numpy in threads (sum and dot product) and a matrix-vector product."""
    width = 4096
    values = np.ones((megabytes * 2**20 // (4 * width), width), np.float32)
    with ThreadPoolExecutor(threads) as pool:
        chunks = np.array_split(values.reshape(-1), threads)
        seconds = [
            best_seconds(lambda: list(pool.map(np.sum, chunks))),
            best_seconds(lambda: list(pool.map(_dot_self, chunks))),
        ]
    seconds.append(_matrix_vector_seconds(values, threads))
    return values.nbytes / min(seconds)


def _dot_self(chunk: FloatArray) -> float:
    return float(np.dot(chunk, chunk))  # both arguments are one stream of reads


def _matrix_vector_seconds(values: FloatArray, threads: int) -> float:
    vector = ops.parameter([1, values.shape[1]], np.float32)
    product = ops.matmul(vector, ops.constant(values, shared_memory=True), False, True)
    return _best_inference(ov.Model([product], [vector]), "f32", threads)


def matmul_peak(kind: str, shape: tuple[int, int, int], threads: int | None = None) -> float:
    """Multiply-accumulates a second of matrix products of this shape, in "int8", "bf16" or "f32".

    8-bit ones are computed as convolutions too, which is several times as fast on CPUs without VNNI.
    """
    rows, width, inner = shape
    models = [_int8_chain(rows, width, inner)] if kind == "int8" else [_chain(rows, width, inner)]
    if kind == "int8":
        models.append(models[0].clone())
        as_convolutions(models[1])
    precision = "bf16" if kind == "bf16" else "f32"
    return LAYERS * rows * width * inner / min(_best_inference(model, precision, threads) for model in models)


def _chain(rows: int, width: int, inner: int) -> ov.Model:
    return _product_model(rows, width, inner, _weights, lambda node: node)


def _int8_chain(rows: int, width: int, inner: int) -> ov.Model:
    """8-bit weights and activations, in the form that NNCF writes and OpenVINO fuses."""
    return _product_model(rows, width, inner, _int8_weights, _quantized)


def _product_model(
    rows: int, width: int, inner: int, weights: Callable[[int, int], Any], activation: Callable[[Any], Any]
) -> ov.Model:
    """Matrix products from width to inner width and back, each of whose inputs ``activation`` prepares."""
    start = node = ops.parameter([1, rows, width], np.float32)
    for layer in range(LAYERS):
        ends = (width, inner) if layer % 2 == 0 else (inner, width)
        node = ops.matmul(activation(node), weights(*ends), False, True)
    return ov.Model([node], [start])


def _weights(width: int, outputs: int) -> Any:
    values = np.random.default_rng(0).standard_normal((outputs, width), np.float32)
    return ops.constant(values / np.float32(np.sqrt(width)))


def _int8_weights(width: int, outputs: int) -> Any:
    values = np.random.default_rng(0).integers(-127, 128, (outputs, width), np.int8)
    scales = np.full((outputs, 1), 1 / (73 * np.sqrt(width)), np.float32)  # 73: what such integers spread
    return ops.multiply(ops.convert(ops.constant(values), np.float32), ops.constant(scales))


def _quantized(node: Any) -> Any:
    low, high = (ops.constant(np.array(value, np.float32)) for value in (-4, 4 * 127 / 128))
    return ops.fake_quantize(node, low, high, low, high, 256)


def _best_inference(model: ov.Model, precision: str, threads: int | None) -> float:
    core = openvino_core()
    limited: dict[str, Any] = settings_under_limit(core, this_host())
    properties = limited | {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = threads
    request = core.compile_model(model, "CPU", properties).create_infer_request()
    shape: Sequence[int] = list(model.inputs[0].shape)
    request.set_input_tensor(ov.Tensor(np.random.default_rng(1).standard_normal(shape, np.float32)))
    return best_seconds(request.infer, runs=15)
