"""Changes to a quantized graph before it is compiled, for CPUs whose 8-bit kernels are not exact or not faster."""

from __future__ import annotations

import openvino as ov
from openvino.passes import ConstantFolding, Manager

MANY_ROWS = 64
"""Rows from which a matrix product is bound by arithmetic: unpacking its weights anew each time then costs time."""


def in_float(model: ov.Model) -> None:
    """Leave activations in float, in place: every quantizer of what is no constant becomes its input.

    Weights keep their 8 bits and scales, SmoothQuant its factors. An output that crosses to another graph in 8 bits
    (see `blipvino.graphs.handover`) keeps its quantizer, which makes these bits.
    """
    for node in model.get_ops():
        if node.get_type_name() == "FakeQuantize" and not _is_constant(node.input_value(0)) and not _makes_bits(node):
            for port in node.output(0).get_target_inputs():
                port.replace_source_output(node.input_value(0))
    model.validate_nodes_and_infer_types()


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
    return any(port.get_node().get_type_name() == "Convert" for port in node.output(0).get_target_inputs())


def _leads_from_constant(value: ov.Output) -> bool:
    """Whether a value is a weight: a constant, or one that is converted and scaled."""
    node = value.get_node()
    return node.get_type_name() == "Constant" or (
        node.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape")
        and all(_leads_from_constant(each) for each in node.input_values())
    )
