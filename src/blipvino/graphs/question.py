"""The question encoder: question tokens that attend to an image (BLIP's image-grounded text encoder, section 3.1)."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.config import TextConfig
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs import layers as nn
from blipvino.graphs.text import (
    attention_output,
    cross_attention,
    cross_kv_graph,
    cross_parameters,
    embeddings,
    feed_forward,
    word_table,
)


def question_kv_graph(checkpoint: Checkpoint) -> ov.Model:
    """``image_embeds`` ``[B, S, D]`` -> the question encoder's cross-attention keys and values."""
    return cross_kv_graph(checkpoint, "question_kv", "text_encoder", "image_embeds")


def question_graph(checkpoint: Checkpoint) -> ov.Model:
    """Question tokens and the image's keys and values -> ``question_states`` ``[R, T, D]``.

    Inputs: ``input_ids`` and ``attention_mask``, int64 ``[R, T]``; ``cross_key.i`` and ``cross_value.i`` of ``B``
    images, ``R`` being a multiple of ``B`` (see `cross_attention`).
    """
    config = checkpoint.config.text
    w = nn.Weights(checkpoint, "text_encoder")
    input_ids = nn.parameter([-1, -1], np.int64, "input_ids")
    attention_mask = nn.parameter([-1, -1], np.int64, "attention_mask")
    cross = cross_parameters(config)
    mask = nn.additive_mask(attention_mask, [1, 2])
    length = ops.squeeze(nn.dimension(input_ids, 1), nn.integers(0))
    positions = ops.range(nn.constant(0, np.int64), length, nn.constant(1, np.int64), "i64")
    x = embeddings(word_table(w, config), input_ids, positions, w / "embeddings", config)
    for layer in range(config.num_hidden_layers):
        source = nn.CrossSource(cross[2 * layer], cross[2 * layer + 1])
        x = encoder_layer(x, mask, source, w / "encoder.layer" / layer, config)
    result = nn.output(x, "question_states")
    return ov.Model([result], [input_ids, attention_mask, *cross], "question")


def encoder_layer(x: nn.Node, mask: nn.Node, source: nn.CrossSource, w: nn.Weights, config: TextConfig) -> nn.Node:
    """Self-attention, cross-attention to the image, feed-forward; each with residual and post-norm."""
    x = self_attention(x, mask, w / "attention", config)
    x = cross_attention(x, source, w / "crossattention", config)
    return feed_forward(x, w, config)


def self_attention(x: nn.Node, mask: nn.Node, w: nn.Weights, config: TextConfig) -> nn.Node:
    """Attention among the question's tokens, padding masked."""
    width, heads, head_size = config.hidden_size, config.num_attention_heads, config.head_size
    query, key, value = (
        nn.split_heads(nn.linear(x, w / "self" / name, width, width), heads, head_size)
        for name in ("query", "key", "value")
    )
    key = ops.multiply(ops.transpose(key, nn.integers(0, 1, 3, 2)), nn.constant(head_size**-0.5))
    context = nn.merge_heads(nn.attend(query, key, value, w.prefix, mask), width)
    return attention_output(context, x, w, config)
