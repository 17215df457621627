"""Writing a graph to disk small: what is still float32 after compression is stored in half precision.

OpenVINO's ``compress_to_fp16`` passes over graphs that are quantized, which leaves their position embeddings, biases
and scales in float32: 1.6% of BLIP-base's vision model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.arrays import FloatArray
from blipvino.errors import BundleError
from blipvino.graphs.surgery import number_operations
from blipvino.machine.core import read_ir

FP16_NORMAL_MIN = float(np.finfo(np.float16).smallest_normal)
FP16_MAX = float(np.finfo(np.float16).max)


def save_graph(model: ov.Model, path: Path) -> None:
    """Write the IR ``path`` (.xml) and its weights (.bin), float constants in FP16: the same files for the same graph.

    Raises:
        BundleError: it could not be written whole.
    """
    store_in_fp16(model)
    number_operations(model)
    ov.save_model(model, str(path), compress_to_fp16=True)  # as text, as `read_ir` gives it
    try:
        read_ir(path)  # a full disk does not always make save_model raise
    except RuntimeError as error:
        raise BundleError(f"{path.name}: could not be written whole; is the disk full? ({error})") from error


def fp16_bytes(model: ov.Model) -> int:
    """What the constants of a float graph take in FP16, which is the size of its ``.bin`` without compression."""
    constants = [node for node in model.get_ordered_ops() if node.get_type_name() == "Constant"]
    return sum(node.get_byte_size() // (2 if node.get_element_type() == ov.Type.f32 else 1) for node in constants)


def store_in_fp16(model: ov.Model) -> None:
    """Replace the float32 constants of a quantized graph by FP16 ones, converted back where they are used."""
    operations = model.get_ordered_ops()
    if not any(node.get_type_name() == "Constant" and node.get_element_type().bitwidth <= 8 for node in operations):
        return  # not quantized: `save_model` does it all
    for node in operations:
        if node.get_type_name() == "Constant" and node.get_element_type() == ov.Type.f32:
            consumers = node.output(0).get_target_inputs()
            only_added = all(port.get_node().get_type_name() == "Add" for port in consumers)
            if fits_fp16(node.data, absolute=only_added):
                half = ops.convert(ops.constant(node.data.astype(np.float16)), "f32")
                half.set_friendly_name(node.get_friendly_name())
                for port in consumers:
                    port.replace_source_output(half.output(0))


def fits_fp16(values: FloatArray, *, absolute: bool) -> bool:
    """Whether FP16 is precise enough: for terms of a sum in absolute size, else in relative size (2**-11)."""
    if values.size <= 1:
        return False  # saves nothing: ranges of quantizers and the like
    magnitudes = np.abs(values[values != 0])
    if magnitudes.size == 0:
        return True
    return bool(magnitudes.max() <= FP16_MAX and (absolute or magnitudes.min() >= FP16_NORMAL_MIN))
