"""Keys and values that cross from one quantized graph to the next in 8 bits instead of 32.

NNCF quantizes each graph by itself: `question` begins by quantizing the keys and values that `question_kv` gave it in
float32, anew for every question. Moving these quantizers over the cut computes the same numbers, once an image, and
makes what is kept of an image four times smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.graphs.specs import handing_over
from blipvino.graphs.surgery import readers, replace_value
from blipvino.machine.core import read_ir

LEVELS = 256
LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True)
class InputQuantizer:
    """A graph's symmetric 8-bit quantization of one of its inputs: ``real = scale * int8``."""

    parameter: ov.Node
    node: ov.Node
    scale: float

    @property
    def port(self) -> str:
        """The input's name."""
        return str(self.parameter.output(0).get_any_name())


def hand_over_in_8_bits(writer: ov.Model, reader: ov.Model) -> None:
    """Let ``writer`` quantize what ``reader`` quantizes first thing. Both are changed in place.

    Args:
        writer: has an output for each of the reader's cross-attention inputs, by name.
        reader: inputs that it does not quantize, or not symmetrically, stay as they are.
    """
    for quantizer in input_quantizers(reader):
        _dequantize_input(quantizer)
        _quantize_output(writer, quantizer)
    for model in (writer, reader):
        model.validate_nodes_and_infer_types()


def take_back_handover(model: ov.Model) -> None:
    """Undo `hand_over_in_8_bits` on either graph, in place: a reader quantizes for itself again, a writer not at all.

    Together they compute what they did. A graph without a handover stays as it is.
    """
    for parameter in model.get_parameters():
        if _crosses_in_8_bits(parameter):
            (convert,) = readers(parameter)
            (multiply,) = readers(convert)
            scale = float(multiply.input_value(1).get_node().data.item())
            parameter.set_element_type(ov.Type.f32)
            rounded = _fake_quantize(parameter, scale, scale)
            replace_value(multiply.output(0), rounded.output(0))
    for result in model.get_results():
        if _crosses_in_8_bits(result):
            quantizer = result.input_value(0).get_node().input_value(0).get_node()
            names = result.output(0).get_names()
            result.input(0).replace_source_output(quantizer.input_value(0))
            result.output(0).set_names(names)
    model.validate_nodes_and_infer_types()


def handover_scales(folder: Path, names: Sequence[str]) -> dict[str, float]:
    """The scales of all that crosses in 8 bits between a folder's graphs, by the name of the output.

    Args:
        folder: with the graphs.
        names: which of them there are.
    """
    scales: dict[str, float] = {}
    for writer in handing_over(names).values():
        scales |= output_scales(read_ir(folder / f"{writer}.xml"))
    return scales


def output_scales(writer: ov.Model) -> dict[str, float]:
    """The scales of the outputs that cross in 8 bits, by name: ``real = scale * int8``."""
    scales = {}
    for result in writer.get_results():
        if _crosses_in_8_bits(result):
            quantizer = result.input_value(0).get_node().input_value(0).get_node()
            scales[str(result.output(0).get_any_name())] = (
                float(quantizer.input_value(1).get_node().data.item()) / LOWEST
            )
    return scales


def _crosses_in_8_bits(port: ov.Node) -> bool:
    element = port.output(0).get_element_type()
    return element == ov.Type.i8 and port.output(0).get_any_name().startswith("cross_")


def _fake_quantize(real: ov.Node | ov.Output, scale: float, output_scale: float) -> ov.Node:
    """Symmetric rounding to 8 bits, scaled by ``output_scale``."""
    bounds = (LOWEST * scale, HIGHEST * scale, LOWEST * output_scale, HIGHEST * output_scale)
    return ops.fake_quantize(real, *(ops.constant(np.float32(bound)) for bound in bounds), LEVELS)


def input_quantizers(model: ov.Model) -> list[InputQuantizer]:
    """The quantizers that stand directly behind a graph's cross-attention inputs."""
    found = []
    for parameter in model.get_parameters():
        quantizers = [node for node in readers(parameter) if node.get_type_name() == "FakeQuantize"]
        if parameter.output(0).get_any_name().startswith("cross_") and len(quantizers) == 1:
            low, high = (float(quantizers[0].input_value(index).get_node().data.item()) for index in (1, 2))
            scale = (high - low) / (LEVELS - 1)
            if np.isclose(low, LOWEST * scale, rtol=1e-3):
                found.append(InputQuantizer(parameter, quantizers[0], scale))
    return found


def _dequantize_input(quantizer: InputQuantizer) -> None:
    """The input becomes int8, multiplied by its scale where it was quantized."""
    quantizer.parameter.set_element_type(ov.Type.i8)
    integers = ops.convert(quantizer.parameter, "f32")
    real = ops.multiply(integers, ops.constant(np.float32(quantizer.scale)))
    replace_value(quantizer.node.output(0), real.output(0))


def _quantize_output(writer: ov.Model, quantizer: InputQuantizer) -> None:
    """The output of the same name becomes int8."""
    (result,) = (node for node in writer.get_results() if quantizer.port in node.output(0).get_names())
    real = result.input_value(0)
    rounded = _fake_quantize(real, quantizer.scale, 1)
    result.input(0).replace_source_output(ops.convert(rounded, "i8").output(0))
    real.set_names(real.get_names() - {quantizer.port})
    result.output(0).set_names({quantizer.port})
