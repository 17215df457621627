"""OpenVINO graphs as ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
from onnx import helper

from blipvino.export.onnx_data import ELEMENT_TYPES, TensorStore
from blipvino.export.onnx_graph import OnnxGraph, OnnxPrecision
from blipvino.export.onnx_operations import translate
from blipvino.export.onnx_parts import AXES, Part
from blipvino.export.onnx_weights import is_constant
from blipvino.machine.versions import installed_version

OPSET = 21
"""The first one with 4-bit integers and scales of groups; GELU is there since 20."""
IR_VERSION = 10
"""The oldest one of ONNX's file format that has this opset."""


def onnx_model(part: Part, precision: OnnxPrecision, store: TensorStore) -> Any:
    """Translate a graph.

    Args:
        part: whose operations are those of `blipvino.export.onnx_operations.OPERATIONS`.
        precision: of the weights.
        store: keeps their content.

    Returns:
        An `onnx.ModelProto` with the part's inputs and outputs.

    Raises:
        ExportError: an operation has no translation.
    """
    graph = OnnxGraph(part.model.get_friendly_name(), precision, store)
    parameters, results = part.model.get_parameters(), part.model.get_results()
    for name in (*part.inputs, *part.outputs):
        graph.unique(name)  # no other value may be called so
    for parameter, name in zip(parameters, part.inputs, strict=True):
        graph.define(parameter, name)
    for node in part.model.get_ordered_ops():
        if node.get_type_name() != "Result" and not graph.knows(node) and not is_constant(node.output(0)):
            translate(graph, node)
    for result, name in zip(results, part.outputs, strict=True):
        graph.nodes.append(helper.make_node("Identity", [graph.value(result.input_value(0))], [name], name=name))
    inputs, outputs = (
        [_described(node.output(0), name) for node, name in zip(nodes, names, strict=True)]
        for nodes, names in ((parameters, part.inputs), (results, part.outputs))
    )
    proto = helper.make_graph(graph.nodes, graph.name, inputs, outputs, graph.initializers)
    return helper.make_model(
        proto,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="blipvino",
        producer_version=installed_version("blipvino"),
    )


def _described(port: ov.Output, name: str) -> Any:
    """Name, type and shape of an input or output."""
    names = AXES[_without_layer(name)]
    shape = [
        size.get_length() if size.is_static else axis
        for size, axis in zip(port.get_partial_shape(), names, strict=True)
    ]
    return helper.make_tensor_value_info(name, ELEMENT_TYPES[np.dtype(port.get_element_type().to_dtype())], shape)


def _without_layer(name: str) -> str:
    """``present.3.decoder.key`` -> ``present.decoder.key``."""
    return ".".join(part for part in name.split(".") if not part.isdigit())
