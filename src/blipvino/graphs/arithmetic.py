"""Changes to a quantized graph before it is compiled, for CPUs whose 8-bit kernels are not exact or not faster."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from openvino.passes import ConstantFolding, Manager

from blipvino.graphs.surgery import readers, replace_value

MANY_ROWS = 64
"""Rows from which a matrix product is bound by arithmetic: unpacking its weights anew each time then costs time."""
HIGHEST_OF_7_BITS = 127
"""Two products of such a number and an 8-bit weight are 2 * 127 * 128 = 32,512 at the most, which 16 bits hold."""
_HIGHEST_OF_8_BITS = 255


def in_float(model: ov.Model) -> None:
    """Leave activations in float, in place: every quantizer of what is no constant becomes its input.

    Weights keep their 8 bits and scales, SmoothQuant its factors. An output that crosses to another graph in 8 bits
    (see `blipvino.graphs.handover`) keeps its quantizer, which makes these bits.
    """
    for node in model.get_ops():
        if node.get_type_name() == "FakeQuantize" and not _is_constant(node.input_value(0)) and not _makes_bits(node):
            replace_value(node.output(0), node.input_value(0))
    model.validate_nodes_and_infer_types()


def in_7_bits(model: ov.Model) -> None:
    """Round what linear layers read to 7 bits instead of 8, in place, and leave other activations in float.

    8-bit kernels without VNNI add two products in 16 bits, and cut off what is more. Of 7-bit activations nothing is
    ever more: such kernels are exact, at the price of activations in steps twice as large. Between two activations,
    as in attention, both factors would have to give up a bit; these products stay in float.
    """
    for node in model.get_ops():
        if _is_quantizer(node.output(0)) and not _is_constant(node.input_value(0)) and not _makes_bits(node):
            rounds = all(is_linear(reader) for reader in readers(node))
            narrow = _narrowed(node).output(0) if rounds else node.input_value(0)
            replace_value(node.output(0), narrow)
    model.validate_nodes_and_infer_types()


def has_quantized_layers(model: ov.Model) -> bool:
    """Whether any linear layer reads quantized activations."""
    return any(is_linear(node) and _is_quantizer(node.input_value(0)) for node in model.get_ops())


def is_linear(node: ov.Node) -> bool:
    """Whether a node is the product of activations with a constant weight that is stored in integers."""
    return node.get_type_name() == "MatMul" and _is_integer_weight(node.input_value(1))


def multiplies_many_rows(model: ov.Model) -> bool:
    """Whether a matrix of weights meets so many rows at a time, by the shapes that are known, that they cost most."""
    return any(
        _static_rows(node.get_input_partial_shape(0)) >= MANY_ROWS
        for node in model.get_ops()
        if node.get_type_name() == "MatMul" and _leads_from_constant(node.input_value(1))
    )


def unpack_weights(model: ov.Model) -> None:
    """Make float32 constants of compressed weights, in place: once, and not in every inference."""
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)


def _narrowed(quantizer: ov.Node) -> ov.Node:
    """A quantizer with half as many steps over the same range: integers from 0 to 127, and an integer zero point.

    OpenVINO's kernels take quantizers of 256 levels alone: the upper half of these lies above the range, and what
    exceeds the range is clamped before it.
    """
    low, high = (quantizer.input_value(index).get_node().data.astype(np.float32) for index in (1, 2))
    step = np.maximum((high - low) / np.float32(HIGHEST_OF_7_BITS), np.finfo(np.float32).tiny)
    lowest = -np.rint(-low / step) * step
    highest, above = lowest + HIGHEST_OF_7_BITS * step, lowest + _HIGHEST_OF_8_BITS * step
    inside = ops.minimum(ops.maximum(quantizer.input_value(0), ops.constant(lowest)), ops.constant(highest))
    bounds = [ops.constant(bound) for bound in (lowest, above, lowest, above)]
    narrow = ops.fake_quantize(inside, *bounds, _HIGHEST_OF_8_BITS + 1)
    narrow.set_friendly_name(quantizer.get_friendly_name())
    return narrow


def _is_quantizer(value: ov.Output) -> bool:
    return value.get_node().get_type_name() == "FakeQuantize"


def _static_rows(shape: ov.PartialShape) -> int:
    """The product of all dimensions but the last; 0 where one is open."""
    rows = 1
    for dimension in list(shape)[:-1]:
        rows *= dimension.get_length() if dimension.is_static else 0
    return rows


def _is_constant(value: ov.Output) -> bool:
    return value.get_node().get_type_name() == "Constant"


def _makes_bits(node: ov.Node) -> bool:
    """Whether integers are made of a quantizer's output, for another graph to read."""
    return any(reader.get_type_name() == "Convert" for reader in readers(node))


def _is_integer_weight(value: ov.Output) -> bool:
    """Whether a value is a constant of integers, converted and scaled."""
    node = value.get_node()
    if node.get_type_name() == "Constant":
        return bool(node.get_element_type().is_integral())
    return node.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape") and _is_integer_weight(
        node.input_value(0)
    )


def _leads_from_constant(value: ov.Output) -> bool:
    """Whether a value is a weight: a constant, or one that is converted and scaled."""
    node = value.get_node()
    return node.get_type_name() == "Constant" or (
        node.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape")
        and all(_leads_from_constant(each) for each in node.input_values())
    )
