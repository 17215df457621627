"""The constants of an OpenVINO graph as an ONNX graph holds them: floats, or integers with scales and zero points.

In a bundle's graph a weight is a constant and what unpacks it: ``Convert`` of half precision; of integers ``Convert``,
perhaps ``Subtract``, ``Multiply``; of 4-bit groups ``[N, groups, size]`` a ``Reshape`` to ``[N, K]`` after these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import openvino as ov

from blipvino.arrays import AnyArray, FloatArray

_UNPACKING = ("Convert", "Subtract", "Multiply", "Reshape")


@dataclass(frozen=True)
class Weight:
    """A constant: ``values``, or ``(values - zero_point) * scale`` where there is a scale.

    Attributes:
        values: float32 or int64 of any shape; int8 or uint8, which hold 4 bits too.
        bits: of a value.
        scale: float32 that broadcasts with the values; None where they need none.
        zero_point: of the values' type and the scale's shape; None is zero.
        shape: of the constant, which is ``[N, K]`` where the values are ``[N, groups, size]``.
    """

    values: AnyArray
    bits: int
    shape: tuple[int, ...]
    scale: FloatArray | None = None
    zero_point: AnyArray | None = None

    @property
    def group_size(self) -> int | None:
        """How many values of a row share a scale; None where a row or the whole constant does."""
        return self.values.shape[-1] if self.values.ndim == 3 else None

    @property
    def has_row_scales(self) -> bool:
        """Whether ONNX can dequantize it: a matrix with a scale for all, for each row or for each group of a row."""
        if self.scale is None or len(self.shape) != 2:
            return False
        grouped = self.group_size is not None and self.shape == (len(self.values), self.values[0].size)
        rows = self.scale.shape == (*self.values.shape[:-1], 1)
        return (rows and (self.values.ndim == 2 or grouped)) or (self.scale.size == 1 and self.values.ndim == 2)

    def unpacked(self) -> AnyArray:
        """The constant itself: float32, or the integers of one without a scale."""
        if self.scale is None:
            return self.values.reshape(self.shape)
        values = self.values.astype(np.float32)
        if self.zero_point is not None:
            values -= self.zero_point.astype(np.float32)
        return (values * self.scale).reshape(self.shape)

    def packed(self, *, transposed: bool) -> tuple[list[tuple[AnyArray, str, int]], dict[str, int]]:
        """As ONNX's ``DequantizeLinear`` reads it; only where `has_row_scales`.

        Args:
            transposed: the matrix with its axes swapped.

        Returns:
            Integers, scales and perhaps zero points, each with a suffix for its name and the bits of a value; and the
            attributes that say how the scales lie.
        """
        assert self.scale is not None
        integers = self.values.reshape(self.shape)
        scales = [self.scale] if self.zero_point is None else [self.scale, self.zero_point.astype(integers.dtype)]
        axis = 1 if transposed else 0  # of the rows
        if self.group_size is not None:  # scales [N, groups, 1]
            attributes = {"axis": 1 - axis, "block_size": self.group_size}
            scales = [each[:, :, 0].T if transposed else each[:, :, 0] for each in scales]
        else:
            single = self.scale.size == 1
            attributes = {} if single else {"axis": axis}
            scales = [each.reshape(() if single else (-1,)) for each in scales]
        arrays = [integers.T if transposed else integers, *scales]
        named = zip(arrays, ("", "_scale", "_zero_point"), (self.bits, 32, self.bits), strict=False)
        return list(named), attributes


def is_constant(value: ov.Output) -> bool:
    """Whether a value is a constant, or only unpacks constants."""
    node = value.get_node()
    return node.get_type_name() == "Constant" or (
        node.get_type_name() in _UNPACKING and all(map(is_constant, node.input_values()))
    )


def read_weight(value: ov.Output) -> Weight:
    """What a value for which `is_constant` holds is."""
    node = value.get_node()
    kind = node.get_type_name()
    if kind == "Constant":
        return _constant(node)
    weight = read_weight(node.input_value(0))
    if kind == "Convert":
        return weight
    if kind == "Reshape":
        return replace(weight, shape=tuple(node.output(0).get_shape()))
    other = read_weight(node.input_value(1)).unpacked()
    if weight.scale is None and weight.values.dtype != np.float32:
        if kind == "Subtract":
            return replace(weight, zero_point=other)
        zero_point = weight.zero_point
        return replace(weight, scale=other.astype(np.float32), zero_point=zero_point)
    result = weight.unpacked() - other if kind == "Subtract" else weight.unpacked() * other
    return Weight(result.astype(np.float32), 32, result.shape)


def _constant(node: ov.Node) -> Weight:
    """A constant's own values; half precision is widened."""
    element, shape = node.get_element_type(), tuple(node.output(0).get_shape())
    values = np.asarray(node.data)
    if element.bitwidth == 4:
        values = _halves_of_bytes(values.ravel().view(np.uint8), signed=element == ov.Type.i4)[: math.prod(shape)]
    values = values.reshape(shape)
    if element.is_real():
        values = values.astype(np.float32)
    return Weight(values, int(element.bitwidth), shape)


def _halves_of_bytes(content: AnyArray, *, signed: bool) -> AnyArray:
    """Two 4-bit values of each byte, the low one first."""
    halves = np.stack([content & 15, content >> 4], axis=1).ravel()
    return ((halves ^ 8).astype(np.int8) - np.int8(8)) if signed else halves
