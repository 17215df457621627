"""What every export does to a bundle's graphs: pixels normalised outside, all tokens' logits, a state that is ports.

Graphs that are given are changed. Shapes: ``B`` rows, ``T`` tokens, ``P`` tokens before, ``H`` heads, ``d`` width of a
head.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.config import RESCALE_FACTOR, PreprocessorConfig
from blipvino.graphs import layers as nn
from blipvino.graphs.surgery import feed, readers, replace_value

_STATE = re.compile(r"layer\.(\d+)\.attention\.(key|value)$")
"""What a decoder's state is called: ``text_decoder.bert.encoder.layer.0.attention.key``."""


def take_normalised_pixels(vision: ov.Model, preprocessor: PreprocessorConfig) -> nn.Node:
    """A parameter ``pixel_values`` float32 ``[B, 3, size, size]`` in place of the graph's grey levels.

    The graph has the normalisation in its weights; here it is undone first, so that it may be done outside.
    """
    size = preprocessor.size
    pixel_values = nn.parameter([-1, 3, size, size], np.float32, "pixel_values")
    mean, std = (
        (np.array(each) / RESCALE_FACTOR).astype(np.float32)
        for each in (preprocessor.image_mean, preprocessor.image_std)
    )
    channels_last = ops.transpose(pixel_values, nn.integers(0, 2, 3, 1))
    levels = ops.add(ops.multiply(channels_last, nn.constant(std)), nn.constant(mean))
    feed(vision, {"pixels": levels.output(0)})
    for reader in readers(levels):
        if reader.get_type_name() == "Convert":  # of bytes, which these are no more
            replace_value(reader.output(0), levels.output(0))
    return pixel_values


def keep_every_token(decoder: ov.Model) -> None:
    """Let the output layer see all tokens of the step, and not the last alone."""
    for node in decoder.get_ops():
        if node.get_type_name() == "Gather" and node.input_value(0).get_partial_shape().rank.get_length() == 3:
            index = node.input_value(1).get_node()
            if index.get_type_name() == "Constant" and index.data.size == 1 and index.data.item() == -1:
                replace_value(node.output(0), node.input_value(0))


@dataclass(frozen=True)
class Memory:
    """One tensor that a decoder remembers: ``present`` is ``past``, its rows reordered, followed by ``new``.

    Attributes:
        layer: whose it is.
        kind: "key" or "value".
        past: ``[B, H, P, d]``.
        present: ``[B, H, P + T, d]``.
        new: ``[B, H, T, d]``.
    """

    layer: int
    kind: str
    past: ov.Output
    present: ov.Output
    new: ov.Output

    def past_as_input(self, name: str) -> nn.Node:
        """A parameter in place of what is remembered; rows go on from the same rows, there is no ``beam_idx``."""
        dimensions = [-1 if each.is_dynamic else each.get_length() for each in self.past.get_partial_shape()]
        parameter = nn.parameter(dimensions, np.float32, name)
        replace_value(self.past, parameter.output(0))
        return parameter


def memories(decoder: ov.Model) -> list[Memory]:
    """All that a step remembers, layer by layer, keys first."""
    found = []
    for node in decoder.get_ops():
        if node.get_type_name() == "ReadValue":
            layer, kind = _STATE.findall(node.get_variable_id())[0]
            (reorder,) = (reader for reader in readers(node) if reader.get_type_name() != "ShapeOf")
            (concat,) = (reader for reader in readers(reorder) if reader.get_type_name() == "Concat")
            found.append(Memory(int(layer), kind, reorder.output(0), concat.output(0), concat.input_value(1)))
    return sorted(found, key=lambda memory: (memory.layer, memory.kind))


def positions_after(past: nn.Node | None, input_ids: nn.Node) -> nn.Node:
    """Positions ``[1, T]`` of a step's tokens, counted on from what came before ``[B, H, P, d]``; None: from zero."""
    first = nn.constant(0, np.int64) if past is None else _scalar(nn.dimension(past, 2))
    end = ops.add(first, _scalar(nn.dimension(input_ids, 1)))
    return ops.unsqueeze(ops.range(first, end, nn.constant(1, np.int64), "i64"), nn.integers(0))


def _scalar(node: nn.Node) -> nn.Node:
    return ops.squeeze(node, nn.integers(0))
