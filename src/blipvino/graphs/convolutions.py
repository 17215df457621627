"""8-bit linear layers as convolutions of one pixel, which compute the same: OpenVINO has other kernels for these.

On CPUs without VNNI its 8-bit matrix product is as slow as a float one, and its 8-bit convolution two to three times as
fast. All rows of all batches are the positions of one picture ``[1, K, 1, R * S]``. The kernels want channels last, so
the transposes that lead there and back move nothing, as long as bias and GELU come before the transpose back, and that
before the reshape: what OpenVINO finds in between it computes by itself, in between.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.arrays import FloatArray
from blipvino.graphs.arithmetic import is_linear
from blipvino.graphs.surgery import readers, replace_value


def as_convolutions(model: ov.Model) -> int:
    """Rewrite every linear layer of 8-bit weights and quantized activations ``[B, S, K]``, in place.

    Layers whose activations are float stay as they are: a float convolution is slower than a float product.

    Returns:
        How many were rewritten.
    """
    layers = [node for node in model.get_ordered_ops() if _is_quantized_layer(node)]
    for layer in layers:
        _rewrite(layer)
    model.validate_nodes_and_infer_types()
    return len(layers)


def _is_quantized_layer(node: ov.Node) -> bool:
    return (
        is_linear(node)
        and node.input_value(0).get_node().get_type_name() == "FakeQuantize"
        and node.input_value(0).get_partial_shape().rank.get_length() == 3
        and node.get_attributes()["transpose_b"]
        and _is_scaled_int8(node.input_value(1).get_node())
    )


def _is_scaled_int8(weight: ov.Node) -> bool:
    """Whether a weight is 8-bit integers and scales, and nothing else, such as a zero point."""
    return (
        weight.get_type_name() == "Multiply"
        and weight.input_value(0).get_node().get_type_name() == "Convert"
        and weight.input_value(0).get_node().input_value(0).get_element_type() == ov.Type.i8
        and _is_constant(weight.input_value(0).get_node().input_value(0))
        and _is_constant(weight.input_value(1))
    )


def _rewrite(layer: ov.Node) -> None:
    """Put a convolution in the place of a layer, its bias and its GELU."""
    rows = layer.input_value(0)
    width = rows.get_partial_shape()[2].get_length()
    channels_first = ops.transpose(ops.reshape(rows, _integers_of(1, 1, -1, width), False), _integers_of(0, 3, 1, 2))
    result = ops.convolution(channels_first, _kernel(layer.input_value(1)), [1, 1], [0, 0], [0, 0], [1, 1])
    result.set_friendly_name(f"{layer.get_friendly_name()}/convolution")
    last = layer
    for follower in _followers(layer):
        result = _with_channels(follower, result)
        last = follower
    channels_last = ops.reshape(ops.transpose(result, _integers_of(0, 2, 3, 1)), _shape_of(layer), False)
    channels_last.set_friendly_name(last.get_friendly_name())
    replace_value(last.output(0), channels_last.output(0))


def _followers(layer: ov.Node) -> Iterator[ov.Node]:
    """The bias and the GELU behind a layer, as far as nothing else reads what is before them."""
    (reader, *others) = readers(layer)
    if others or reader.get_type_name() != "Add" or not _is_bias(reader.input_value(1)):
        return
    yield reader
    (reader, *others) = readers(reader)
    if not others and reader.get_type_name() == "Gelu":
        yield reader


def _with_channels(follower: ov.Node, result: ov.Node) -> ov.Node:
    """A bias or a GELU of ``[B, N, 1, S]``."""
    if follower.get_type_name() == "Gelu":
        return ops.gelu(result, follower.get_attributes()["approximation_mode"])
    return ops.add(result, ops.constant(_values(follower.input_value(1)).reshape(1, -1, 1, 1)))


def _kernel(weight: ov.Output) -> ov.Node:
    """A weight ``[N, K]`` of integers and scales as a kernel ``[N, K, 1, 1]`` of the same ones."""
    integers = _integers(weight).data
    scales = _values(weight.get_node().input_value(1)).reshape(-1, 1, 1, 1)
    real = ops.convert(ops.constant(integers.reshape(*integers.shape, 1, 1)), "f32")
    return ops.multiply(real, ops.constant(scales))


def _integers(weight: ov.Output) -> ov.Node:
    """The constant at the root of a weight."""
    node = weight.get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return node


def _is_bias(value: ov.Output) -> bool:
    """Whether a value is a constant with one number for each channel, or for all."""
    shape = value.get_partial_shape()
    if shape.is_dynamic or list(shape.to_shape())[:-1] != [1] * (len(shape) - 1):
        return False
    return _is_constant(value)


def _is_constant(value: ov.Output) -> bool:
    """Whether a value is a constant, stored in half precision or not."""
    node = value.get_node()
    return node.get_type_name() == "Constant" or (
        node.get_type_name() == "Convert" and node.input_value(0).get_node().get_type_name() == "Constant"
    )


def _values(constant: ov.Output) -> FloatArray:
    """What `_is_constant` found, in float32."""
    return _integers(constant).data.astype(np.float32)


def _shape_of(layer: ov.Node) -> ov.Node:
    """The shape that a layer gives its result."""
    shape = layer.get_output_partial_shape(0)
    if shape.is_static:
        return _integers_of(*shape.to_shape())
    batch = ops.gather(ops.shape_of(layer.input_value(0)), _integers_of(0, 1), ops.constant(0))
    return ops.concat([batch, _integers_of(shape[2].get_length())], 0)


def _integers_of(*values: int) -> ov.Node:
    return ops.constant(np.array(values, np.int64))
