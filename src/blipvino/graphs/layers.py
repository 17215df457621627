"""The blocks that BLIP's graphs are made of, each a short function from OpenVINO nodes to an OpenVINO node.

Shapes in the docstrings: ``B`` images or sources, ``R`` text rows (a multiple of ``B``), ``T`` text tokens, ``S``
source positions, ``D`` width, ``H`` heads, ``d`` width of a head. All values are float32 unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.opset13 as ops

from blipvino.arrays import FloatArray
from blipvino.checkpoint.tensors import Checkpoint

Node: TypeAlias = ov.Node
Array: TypeAlias = FloatArray

MASKED = -1e4
"""Added to the score of a position that may not be attended to: exp() of it is 0 in float32, and fp16 holds it."""


@dataclass(frozen=True)
class Weights:
    """The tensors of a checkpoint below one name: ``weights / "layers.0" / "mlp"`` walks down."""

    checkpoint: Checkpoint
    prefix: str

    def __truediv__(self, name: str | int) -> Weights:
        return Weights(self.checkpoint, f"{self.prefix}.{name}")

    def array(self, name: str, *shape: int) -> Array:
        """The tensor ``prefix.name`` as float32, which must have the given shape."""
        return np.asarray(self.checkpoint.tensor(f"{self.prefix}.{name}", shape=shape), dtype=np.float32)


@dataclass(frozen=True)
class CrossSource:
    """Keys and values that one layer attends to, projected once, and the mask over their positions.

    Attributes:
        key: ``[B, H, d, S]``, transposed and scaled by ``1 / sqrt(d)``.
        value: ``[B, H, S, d]``.
        mask: additive, broadcastable to ``[B, H, *, S]``; None where every position may be attended to.
    """

    key: Node
    value: Node
    mask: Node | None = None


def named(node: Node, name: str) -> Node:
    """Give a node the name that diagnostics and errors will show."""
    node.set_friendly_name(name)
    return node


def parameter(shape: list[int], dtype: npt.DTypeLike, name: str) -> Node:
    """An input of the graph; -1 is a dynamic dimension."""
    node = ops.parameter(shape, dtype)
    node.output(0).set_names({name})
    return named(node, name)


def output(node: Node, name: str) -> Node:
    """An output of the graph."""
    result = ops.result(node)
    result.output(0).set_names({name})
    return named(result, name)


def constant(values: Array | list[int] | int | float, dtype: npt.DTypeLike = np.float32) -> Node:
    """A constant of the graph."""
    return ops.constant(np.asarray(values, dtype=dtype))


def integers(*values: int) -> Node:
    """A 1-D int64 constant: axes, a shape, an order."""
    return constant(list(values), np.int64)


def linear(x: Node, w: Weights, inputs: int, outputs: int) -> Node:
    """``x @ weight.T + bias``: ``[..., inputs] -> [..., outputs]``."""
    return affine(x, w.array("weight", outputs, inputs), w.array("bias", outputs), w.prefix)


def affine(x: Node, weight: Array, bias: Array, name: str) -> Node:
    """``x @ weight.T + bias`` with explicit arrays, where a builder has folded a factor into them."""
    product = named(ops.matmul(x, constant(weight), False, True), f"{name}/matmul")
    return named(ops.add(product, constant(bias)), name)


def layer_norm(x: Node, w: Weights, width: int, eps: float) -> Node:
    """Layer normalisation over the last axis."""
    normal = ops.mvn(x, integers(-1), True, eps, "inside_sqrt")
    scaled = ops.multiply(normal, constant(w.array("weight", width)))
    return named(ops.add(scaled, constant(w.array("bias", width))), w.prefix)


def gelu(x: Node) -> Node:
    """GELU with the error function, as ``hidden_act: gelu`` means in BLIP's configurations."""
    return ops.gelu(x, "erf")


def split_heads(x: Node, heads: int, head_size: int) -> Node:
    """``[R, T, H * d] -> [R, H, T, d]``."""
    return ops.transpose(ops.reshape(x, integers(0, 0, heads, head_size), True), integers(0, 2, 1, 3))


def merge_heads(x: Node, width: int) -> Node:
    """``[R, H, T, d] -> [R, T, H * d]``."""
    return ops.reshape(ops.transpose(x, integers(0, 2, 1, 3)), integers(0, 0, width), True)


def attend(query: Node, key: Node, value: Node, name: str, mask: Node | None = None) -> Node:
    """Softmax attention of ``[B, H, T, d]`` over keys ``[B, H, d, S]`` that carry the ``1 / sqrt(d)`` already."""
    scores = named(ops.matmul(query, key, False, False), f"{name}/scores")
    if mask is not None:
        scores = ops.add(scores, mask)
    return named(ops.matmul(ops.softmax(scores, -1), value, False, False), f"{name}/context")


def additive_mask(attention_mask: Node, axes: list[int]) -> Node:
    """An integer mask of ones (attend) and zeros as an additive mask, with new axes for heads and queries."""
    blocked = ops.multiply(ops.subtract(constant(1.0), ops.convert(attention_mask, "f32")), constant(MASKED))
    return ops.unsqueeze(blocked, integers(*axes))


def dimension(x: Node, axis: int) -> Node:
    """One dimension of a node's shape, as an int64 tensor of one element."""
    return ops.gather(ops.shape_of(x), integers(axis), constant(0, np.int64))
