"""Word tables that stay in 8 bits in memory.

Quantization leaves a table of 8-bit words that is dequantized as a whole and then looked up, and OpenVINO does the
former once and for all when it compiles: a table of 30,524 words then takes 94 MB instead of 23.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops


def look_up_in_8_bits(model: ov.Model) -> None:
    """Look words up first and dequantize what was found: the same numbers. Changes the graph in place."""
    for lookup in [node for node in model.get_ops() if node.get_type_name() == "Gather"]:
        table, scale = _quantized_table(lookup)
        if table is not None and scale is not None:
            indices, axis = lookup.input_value(1), ops.constant(np.int64(0))
            found = ops.convert(ops.gather(table, indices, axis), "f32")
            words = ops.multiply(found, ops.gather(scale, indices, axis))
            words.set_friendly_name(lookup.get_friendly_name())
            for reader in lookup.output(0).get_target_inputs():
                reader.replace_source_output(words.output(0))
    model.validate_nodes_and_infer_types()


def look_up_in_float(model: ov.Model) -> None:
    """Undo `look_up_in_8_bits`, in place. A graph without such a table stays as it is."""
    for words in [node for node in model.get_ops() if node.get_type_name() == "Multiply"]:
        found, scales = (_before_conversion(value) for value in words.input_values())
        if found.get_type_name() != "Gather" or scales.get_type_name() != "Gather":
            continue
        tables = (ops.convert(lookup.input_value(0), "f32") for lookup in (found, scales))
        table = ops.multiply(*tables)
        lookup = ops.gather(table, found.input_value(1), found.input_value(2))
        lookup.set_friendly_name(words.get_friendly_name())
        for reader in words.output(0).get_target_inputs():
            reader.replace_source_output(lookup.output(0))
    model.validate_nodes_and_infer_types()


def _before_conversion(output: ov.Output) -> ov.Node:
    node = output.get_node()
    return _before_conversion(node.input_value(0)) if node.get_type_name() == "Convert" else node


def _quantized_table(lookup: ov.Node) -> tuple[ov.Node | None, ov.Node | None]:
    """The 8-bit rows ``[words, width]`` and their scales ``[words, 1]`` that a lookup reads, if it reads such."""
    product = lookup.input_value(0).get_node()
    if product.get_type_name() != "Multiply":
        return None, None
    convert, scale = (product.input_value(index).get_node() for index in (0, 1))
    if convert.get_type_name() != "Convert" or scale.get_type_name() != "Constant":
        return None, None
    table = convert.input_value(0).get_node()
    per_row = list(scale.shape) == [table.shape[0], 1]
    return (table, scale) if table.get_type_name() == "Constant" and per_row else (None, None)
