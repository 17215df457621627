"""Graphs of one quantized linear layer, with all that may stand around it, for what is done to such graphs."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.machine.core import openvino_core

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
WITHOUT_KERNELS = {**EXACT, "LP_TRANSFORMS_MODE": "NO"}
"""Rounds as quantizers say, and computes in float."""


def quantizer(value, low, high, levels=256):
    """A quantizer as NNCF makes them: its output range is its input range."""
    bounds = [ops.constant(np.float32(bound)) for bound in (low, high, low, high)]
    return ops.fake_quantize(value, *bounds, levels)


def weight(integers, scales, element_type=ov.Type.i8):
    """Integers ``[N, K]`` and a scale for each row, as in a bundle: converted, and multiplied."""
    constant = ops.constant(np.asarray(integers, np.int8), element_type)
    return ops.multiply(ops.convert(constant, "f32"), ops.constant(np.float32(scales).reshape(-1, 1)))


def linear(rows, weights):
    """Rows ``[…, K]`` by a weight ``[N, K]``."""
    return ops.matmul(rows, weights, False, True)


def graph(outputs, *parameters):
    """A graph of these outputs, in order."""
    model = ov.Model([ops.result(output) for output in outputs], list(parameters), "layer")
    model.validate_nodes_and_infer_types()
    return model


def run(model, *inputs, properties=None):
    """All outputs of a graph, compiled with these properties, by default without 8-bit kernels."""
    compiled = openvino_core().compile_model(model, "CPU", WITHOUT_KERNELS if properties is None else properties)
    made = compiled(list(inputs))
    return [made[number] for number in range(len(compiled.outputs))]


def kinds(model):
    """How many nodes of each type there are."""
    names = [node.get_type_name() for node in model.get_ops()]
    return {name: names.count(name) for name in set(names)}
