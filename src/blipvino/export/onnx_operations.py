"""OpenVINO's operations in ONNX, one function each: exactly those that BLIP's graphs are made of.

A function adds nodes to the graph and returns the name of their result. A new operation is a function and an entry in
`OPERATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import openvino as ov

from blipvino.arrays import AnyArray
from blipvino.export.onnx_data import ELEMENT_TYPES
from blipvino.export.onnx_graph import OnnxGraph
from blipvino.export.onnx_weights import Weight, is_constant, read_weight
from blipvino.graphs.surgery import readers

Translator = Callable[[OnnxGraph, ov.Node], str]

_EXACT_ZERO = 0.02
"""How far from an integer a quantizer's zero may lie, in steps, for ONNX's integer zero point to be it."""


def translate(graph: OnnxGraph, node: ov.Node) -> None:
    """Add an operation to the graph, whose inputs it must know or hold as constants.

    Raises:
        ExportError: there is no translation of it, or not of how it is used here.
    """
    translator = OPERATIONS.get(node.get_type_name())
    if translator is None:
        raise graph.refused(node, f"has no translation to ONNX; expected one of {', '.join(sorted(OPERATIONS))}")
    graph.define(node, translator(graph, node))


def _inputs(graph: OnnxGraph, node: ov.Node) -> list[str]:
    """All inputs; a constant is called after the node."""
    return [graph.value(value, f"{_name(node)}.constant") for value in node.input_values()]


def _name(node: ov.Node) -> str:
    return str(node.get_friendly_name())


def _plain(kind: str) -> Translator:
    """An operation that ONNX has too, with the same inputs and no attributes."""
    return lambda graph, node: graph.add(kind, _inputs(graph, node), _name(node))


def _concat(graph: OnnxGraph, node: ov.Node) -> str:
    return graph.add("Concat", _inputs(graph, node), _name(node), axis=node.get_attributes()["axis"])


def _convert(graph: OnnxGraph, node: ov.Node) -> str:
    target = ELEMENT_TYPES[np.dtype(node.get_output_element_type(0).to_dtype())]
    return graph.add("Cast", _inputs(graph, node), _name(node), to=target)


def _fake_quantize(graph: OnnxGraph, node: ov.Node) -> str:
    """Rounding to 8 bits: quantized and dequantized, which runtimes fuse into the operations around it."""
    scale, zero_point = _quantization(graph, node)
    parameters = [
        graph.constant(scale, f"{_name(node)}.scale"),
        graph.constant(zero_point, f"{_name(node)}.zero_point"),
    ]
    value = graph.value(node.input_value(0))
    quantized = graph.add("QuantizeLinear", [value, *parameters], f"{_name(node)}/quantized")
    return graph.add("DequantizeLinear", [quantized, *parameters], _name(node))


def _quantization(graph: OnnxGraph, node: ov.Node) -> tuple[AnyArray, AnyArray]:
    """A quantizer's scale and zero point, of uint8.

    A symmetric one is no int8: ONNX Runtime turns these into uint8 on x86 CPUs, and fails over it from opset 21 on.

    Raises:
        ExportError: it has another number of levels, several ranges, or a zero between two levels.
    """
    ranges = [read_weight(node.input_value(index)).unpacked().astype(np.float64) for index in range(1, 5)]
    levels = node.get_attributes()["levels"]
    if levels != 256 or any(each.size != 1 for each in ranges):
        raise graph.refused(node, f"{levels} levels in {ranges[0].size} ranges, expected 256 in one")
    low, high, low_out, high_out = (float(each.item()) for each in ranges)
    if not np.allclose((low, high), (low_out, high_out)):
        raise graph.refused(node, f"maps {low}..{high} to {low_out}..{high_out}, expected the same range")
    scale = (high - low) / (levels - 1)
    zero = -low / scale
    if not -_EXACT_ZERO <= zero - round(zero) <= _EXACT_ZERO or not 0 <= round(zero) < levels:
        raise graph.refused(node, f"its zero is level {zero:.3f} of {levels}, expected a whole one")
    return np.array(scale, np.float32), np.array(round(zero), np.uint8)


def _gather(graph: OnnxGraph, node: ov.Node) -> str:
    table, indices = node.input_value(0), node.input_value(1)
    axis = int(graph.integers_of(node, 2).item())
    if is_constant(table) and axis == 0:
        weight = read_weight(table)
        if len(weight.shape) == 2:
            return _look_up(graph, node, weight)
    inputs = [graph.value(table, f"{_name(node)}.constant"), graph.value(indices, f"{_name(node)}.indices")]
    return graph.add("Gather", inputs, _name(node), axis=axis)


def _look_up(graph: OnnxGraph, node: ov.Node, weight: Weight) -> str:
    """Rows of a table. Integers are looked up first and scaled then: the whole table is never unpacked.

    A table that is an output projection too is stored as that reads it, transposed: then its columns are the rows.
    """
    table, ids = node.input_value(0), graph.value(node.input_value(1))
    name = _name(node)
    projects = _is_projection(table)
    axis = 1 if projects else 0
    if graph.precision != "int8" or not weight.has_row_scales or weight.group_size is not None:
        value = graph.value(table, f"{name}.weight", transposed=projects)
        return _rows(graph, graph.add("Gather", [value, ids], name, axis=axis), node, projects)
    inputs, _ = graph.packed(table, f"{name}.weight", transposed=projects)
    found = graph.add("Gather", [inputs[0], ids], f"{name}/integers", axis=axis)
    real = _as_float(graph, _rows(graph, found, node, projects), f"{name}/cast")
    last = graph.integers(-1)
    if len(inputs) == 3:
        zeros = graph.add("Gather", [inputs[2], ids], f"{name}/zero_point", axis=0)
        zeros = graph.add("Unsqueeze", [_as_float(graph, zeros, f"{name}/zero_cast"), last], f"{name}/zero")
        real = graph.add("Sub", [real, zeros], f"{name}/shifted")
    scales = graph.add("Gather", [inputs[1], ids], f"{name}/scale", axis=0)
    return graph.add("Mul", [real, graph.add("Unsqueeze", [scales, last], f"{name}/scales")], name)


def _as_float(graph: OnnxGraph, value: str, hint: str) -> str:
    return graph.add("Cast", [value], hint, to=ELEMENT_TYPES[np.dtype(np.float32)])


def _is_projection(table: ov.Output) -> bool:
    """Whether a matrix product reads this constant, transposed."""
    products = (node for node in readers(table.get_node()) if node.get_type_name() == "MatMul")
    return any(each.get_attributes()["transpose_b"] for each in products)


def _rows(graph: OnnxGraph, found: str, node: ov.Node, transposed: bool) -> str:
    """Looked up columns ``[D, ...]`` as rows ``[..., D]``."""
    if not transposed:
        return found
    rank = node.get_output_partial_shape(0).rank.get_length()
    return graph.add("Transpose", [found], f"{found}/rows", perm=[*range(1, rank), 0])


def _gelu(graph: OnnxGraph, node: ov.Node) -> str:
    if node.get_attributes()["approximation_mode"] != "ERF":
        raise graph.refused(node, "is an approximation, expected the one with the error function")
    return graph.add("Gelu", _inputs(graph, node), _name(node))


def _matmul(graph: OnnxGraph, node: ov.Node) -> str:
    attributes, name = node.get_attributes(), _name(node)
    left = graph.value(node.input_value(0), f"{name}/left", transposed=attributes["transpose_a"])
    hint = f"{name.removesuffix('/matmul')}.weight" if is_constant(node.input_value(1)) else f"{name}/right"
    right = graph.value(node.input_value(1), hint, transposed=attributes["transpose_b"])
    return graph.add("MatMul", [left, right], name)


def _mvn(graph: OnnxGraph, node: ov.Node) -> str:
    """Layer normalisation, together with the factor and the term that follow it, which are its weight and bias."""
    attributes = node.get_attributes()
    inside = attributes["eps_mode"] == "INSIDE_SQRT" and attributes["normalize_variance"]
    if graph.integers_of(node, 1).tolist() != [-1] or not inside:
        raise graph.refused(node, "is no layer normalisation: expected the last axis, its variance and epsilon inside")
    multiply = _only_reader(node, "Multiply")
    add = multiply and _only_reader(multiply, "Add")
    if multiply is None or add is None:
        raise graph.refused(node, "expected a constant factor and a constant term after it, and no other reader")
    name = _name(add)
    inputs = [
        graph.value(node.input_value(0)),
        *(_parameter(graph, *each) for each in ((multiply, f"{name}.weight"), (add, f"{name}.bias"))),
    ]
    result = graph.add("LayerNormalization", inputs, name, axis=-1, epsilon=attributes["eps"])
    graph.define(multiply, result)
    graph.define(add, result)
    return result


def _only_reader(node: ov.Node, kind: str) -> ov.Node | None:
    """The one reader of a node, if it is of this kind and its other input is constant."""
    found = readers(node)
    fits = len(found) == 1 and found[0].get_type_name() == kind and any(map(is_constant, found[0].input_values()))
    return found[0] if fits else None


def _parameter(graph: OnnxGraph, node: ov.Node, hint: str) -> str:
    """The constant input of a node."""
    return graph.value(next(value for value in node.input_values() if is_constant(value)), hint)


def _reduce_max(graph: OnnxGraph, node: ov.Node) -> str:
    keep = int(node.get_attributes()["keep_dims"])
    return graph.add("ReduceMax", _inputs(graph, node), _name(node), keepdims=keep)


def _reshape(graph: OnnxGraph, node: ov.Node) -> str:
    # A zero copies a dimension in both, unless it is switched off.
    literal = {} if node.get_attributes()["special_zero"] else {"allowzero": 1}
    return graph.add("Reshape", _inputs(graph, node), _name(node), **literal)


def _attention(graph: OnnxGraph, node: ov.Node) -> str:
    """``softmax(query / sqrt(d) @ keys^T + mask) @ values``."""
    query, key, value, mask = node.input_values()[:4]
    name = _name(node)
    if node.get_input_size() > 4 or node.get_attributes()["causal"]:
        raise graph.refused(node, "expected query, keys, values and an additive mask")
    scale = np.array(query.get_partial_shape()[-1].get_length() ** -0.5, np.float32)
    scaled = graph.add("Mul", [graph.value(query), graph.constant(scale, f"{name}.factor")], f"{name}/query")
    scores = graph.add("MatMul", [scaled, graph.value(key, f"{name}/keys", transposed=True)], f"{name}/scores")
    masked = graph.add("Add", [scores, graph.value(mask)], f"{name}/masked")
    weights = graph.add("Softmax", [masked], f"{name}/weights", axis=-1)
    return graph.add("MatMul", [weights, graph.value(value)], name)


def _softmax(graph: OnnxGraph, node: ov.Node) -> str:
    return graph.add("Softmax", _inputs(graph, node), _name(node), axis=node.get_attributes()["axis"])


def _transpose(graph: OnnxGraph, node: ov.Node) -> str:
    order = graph.integers_of(node, 1).tolist()
    return graph.add("Transpose", [graph.value(node.input_value(0))], _name(node), perm=order)


OPERATIONS: Mapping[str, Translator] = {
    "Add": _plain("Add"),
    "Broadcast": _plain("Expand"),
    "Concat": _concat,
    "Convert": _convert,
    "FakeQuantize": _fake_quantize,
    "Gather": _gather,
    "Gelu": _gelu,
    "Greater": _plain("Greater"),
    "MVN": _mvn,
    "MatMul": _matmul,
    "Multiply": _plain("Mul"),
    "Range": _plain("Range"),
    "ReduceMax": _reduce_max,
    "Reshape": _reshape,
    "ScaledDotProductAttention": _attention,
    "Select": _plain("Where"),
    "ShapeOf": _plain("Shape"),
    "Softmax": _softmax,
    "Squeeze": _plain("Squeeze"),
    "Subtract": _plain("Sub"),
    "Transpose": _transpose,
    "Unsqueeze": _plain("Unsqueeze"),
}
"""By OpenVINO's name."""
