"""An ONNX graph while it is being written: its nodes, its constants, and the values that are known by now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import openvino as ov
from onnx import helper

from blipvino.arrays import AnyArray, IntArray
from blipvino.errors import ExportError
from blipvino.export.onnx_data import ELEMENT_TYPES, TensorStore, make_tensor
from blipvino.export.onnx_weights import is_constant, read_weight

OnnxPrecision = Literal["fp32", "fp16", "int8"]
FP16_MAX = float(np.finfo(np.float16).max)


@dataclass
class OnnxGraph:
    """Collects nodes and constants. A value is known by its name.

    Attributes:
        name: of the graph, for messages.
        precision: "int8" keeps integers as they are in the bundle; the others unpack them, to float32, or to float16
            that is widened where it is read.
        store: keeps the constants' content.
        nodes: in the order in which they run.
        initializers: the constants.
    """

    name: str
    precision: OnnxPrecision
    store: TensorStore
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    _values: dict[tuple[str, bool], str] = field(default_factory=dict)
    _small: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def knows(self, node: ov.Node) -> bool:
        """Whether the value of a node is written."""
        return (node.get_name(), False) in self._values

    def define(self, node: ov.Node, value: str) -> None:
        """Say what a node's value is called."""
        self._values[node.get_name(), False] = value

    def value(self, output: ov.Output, hint: str = "", *, transposed: bool = False) -> str:
        """The name of an OpenVINO value, which is known or a constant.

        Args:
            output: the value.
            hint: what to call a constant.
            transposed: the value with its last two axes swapped. A constant is stored so.
        """
        key = (output.get_node().get_name(), transposed)
        if key not in self._values:
            if is_constant(output):
                self._values[key] = self._constant(output, hint or output.get_node().get_friendly_name(), transposed)
            else:
                axes = list(range(output.get_partial_shape().rank.get_length()))
                axes[-2:] = axes[:-3:-1]
                self._values[key] = self.add("Transpose", [self.value(output)], hint, perm=axes)
        return self._values[key]

    def add(self, kind: str, inputs: list[str], hint: str, **attributes: Any) -> str:
        """Add a node of one output, which is called by the hint. Returns the output's name."""
        name = self.unique(hint or f"{self.name}/{kind}")
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: AnyArray, hint: str = "", bits: int = 0) -> str:
        """Add a constant, unless a small one like it is there. Returns its name."""
        small = (str(values.dtype) + str(bits), values.shape, values.tobytes()) if values.size <= 8 else None
        if small in self._small:
            return self._small[small]
        name = self.unique(hint or f"{self.name}/constant")
        self.initializers.append(make_tensor(name, values, bits, self.store))
        if small is not None:
            self._small[small] = name
        return name

    def integers(self, *values: int) -> str:
        """A constant of axes or of a shape."""
        return self.constant(np.array(values, np.int64), "integers_" + "_".join(map(str, values)))

    def integers_of(self, node: ov.Node, index: int) -> IntArray:
        """The values of a node's constant input, such as its axes.

        Raises:
            ExportError: it is not constant.
        """
        output = node.input_value(index)
        if not is_constant(output):
            raise self.refused(node, f"input {index} is computed, expected a constant")
        return np.atleast_1d(read_weight(output).unpacked()).astype(np.int64)

    def refused(self, node: ov.Node, why: str) -> ExportError:
        """The error of a node that cannot be translated."""
        return ExportError(f"{self.name}: {node.get_type_name()} {node.get_friendly_name()}: {why}")

    def unique(self, hint: str) -> str:
        """The hint, or the hint with a number."""
        name, count = hint, 1
        while name in self._taken:
            count += 1
            name = f"{hint}_{count}"
        self._taken.add(name)
        return name

    def packed(self, output: ov.Output, hint: str, *, transposed: bool) -> tuple[list[str], dict[str, int]]:
        """A constant's integers, scales and perhaps zero points, as `DequantizeLinear` reads them, and its attributes.

        They are new constants each time: ONNX Runtime fuses a product with its 8-bit weight only where nothing else
        reads that. A file of data holds what is equal once.

        Args:
            output: the constant, which ``has_row_scales``.
            hint: what to call the integers.
            transposed: as of `value`.
        """
        arrays, attributes = read_weight(output).packed(transposed=transposed)
        return [self.constant(each, f"{hint}{suffix}", bits) for each, suffix, bits in arrays], attributes

    def _constant(self, output: ov.Output, hint: str, transposed: bool) -> str:
        weight = read_weight(output)
        if self.precision == "int8" and weight.has_row_scales:
            inputs, attributes = self.packed(output, hint, transposed=transposed)
            return self.add("DequantizeLinear", inputs, f"{hint}/dequantized", **attributes)
        values = weight.unpacked()
        if transposed:
            values = values.swapaxes(-1, -2)
        if self.precision == "fp16" and values.dtype == np.float32 and values.ndim > 1 and _fits(values):
            half = self.constant(values.astype(np.float16), hint)
            return self.add("Cast", [half], f"{hint}/float", to=ELEMENT_TYPES[np.dtype(np.float32)])
        return self.constant(values, hint)


def _fits(values: AnyArray) -> bool:
    return bool(np.abs(values).max(initial=0) <= FP16_MAX)
