"""BLIP's text encoder: tokens that attend to one another and, where they are given, to an image (section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino.opset13 as ops

from blipvino.checkpoint.config import TextConfig
from blipvino.graphs import layers as nn
from blipvino.graphs.text import (
    attention_output,
    cross_attention,
    cross_parameters,
    embeddings,
    feed_forward,
    word_table,
)

PREFIX = "text_encoder"
"""Of its tensors."""


@dataclass(frozen=True)
class TextInputs:
    """What the text encoder reads.

    Attributes:
        input_ids: int64 ``[R, T]``.
        attention_mask: int64 ``[R, T]``: zeros where tokens are padding.
        cross: keys and values of images, see `cross_parameters`; empty where it reads texts alone.
    """

    input_ids: nn.Node
    attention_mask: nn.Node
    cross: Sequence[nn.Node] = ()

    @classmethod
    def of_texts(cls) -> TextInputs:
        """Inputs of a graph that reads texts alone."""
        return cls(nn.parameter([-1, -1], np.int64, "input_ids"), nn.parameter([-1, -1], np.int64, "attention_mask"))

    @classmethod
    def of_texts_about_images(cls, config: TextConfig) -> TextInputs:
        """Inputs of a graph whose texts attend to images: ``R`` rows to ``B`` images, ``R`` a multiple of ``B``."""
        texts = cls.of_texts()
        return cls(texts.input_ids, texts.attention_mask, cross_parameters(config))

    @property
    def parameters(self) -> list[nn.Node]:
        """All of them, in the order of the graph's inputs."""
        return [self.input_ids, self.attention_mask, *self.cross]

    def source(self, layer: int) -> nn.CrossSource | None:
        """The keys and values of one layer."""
        return nn.CrossSource(self.cross[2 * layer], self.cross[2 * layer + 1]) if self.cross else None


def text_states(inputs: TextInputs, w: nn.Weights, config: TextConfig) -> nn.Node:
    """The states of all tokens, ``[R, T, D]``."""
    x, mask = _token_embeddings(inputs, w, config), nn.additive_mask(inputs.attention_mask, [1, 2])
    for layer in range(config.num_hidden_layers):
        x = encoder_layer(x, x, mask, inputs.source(layer), w / "encoder.layer" / layer, config)
    return x


def text_state(inputs: TextInputs, w: nn.Weights, config: TextConfig) -> nn.Node:
    """The state of each text's first token, ``[R, 1, D]``, which stands for the text: the last layer makes no other.

    It keeps its place among tokens: OpenVINO 2026.4 computes products of quantized matrices of rank 2 wrongly where the
    number of rows is open and 8-bit kernels are off.
    """
    x, mask = _token_embeddings(inputs, w, config), nn.additive_mask(inputs.attention_mask, [1, 2])
    for layer in range(config.num_hidden_layers):
        is_last = layer == config.num_hidden_layers - 1
        queries = ops.gather(x, nn.integers(0), nn.constant(1, np.int64)) if is_last else x
        x = encoder_layer(x, queries, mask, inputs.source(layer), w / "encoder.layer" / layer, config)
    return x


def encoder_layer(
    x: nn.Node, queries: nn.Node, mask: nn.Node, source: nn.CrossSource | None, w: nn.Weights, config: TextConfig
) -> nn.Node:
    """Self-attention, cross-attention to the image if there is one, feed-forward; each with residual and post-norm.

    Args:
        x: ``[R, T, D]``, attended to.
        queries: those of the same tokens whose states are made, ``[R, Q, D]``.
        mask: additive, of the tokens.
        source: what the image's keys and values are.
        w: the layer's weights.
        config: of the text model.
    """
    x = self_attention(x, queries, mask, w / "attention", config)
    if source is not None:
        x = cross_attention(x, source, w / "crossattention", config)
    return feed_forward(x, w, config)


def self_attention(x: nn.Node, queries: nn.Node, mask: nn.Node, w: nn.Weights, config: TextConfig) -> nn.Node:
    """Attention of some of a text's tokens to all of them, padding masked."""
    width, heads, head_size = config.hidden_size, config.num_attention_heads, config.head_size
    query, key, value = (
        nn.split_heads(nn.linear(states, w / "self" / name, width, width), heads, head_size)
        for name, states in (("query", queries), ("key", x), ("value", x))
    )
    key = ops.multiply(ops.transpose(key, nn.integers(0, 1, 3, 2)), nn.constant(head_size**-0.5))
    context = nn.merge_heads(nn.attend(query, key, value, w.prefix, mask), width)
    return attention_output(context, queries, w, config)


def _token_embeddings(inputs: TextInputs, w: nn.Weights, config: TextConfig) -> nn.Node:
    length = ops.squeeze(nn.dimension(inputs.input_ids, 1), nn.integers(0))
    positions = ops.range(nn.constant(0, np.int64), length, nn.constant(1, np.int64), "i64")
    return embeddings(word_table(w, config), inputs.input_ids, positions, w / "embeddings", config)
