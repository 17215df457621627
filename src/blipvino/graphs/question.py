"""The question encoder: question tokens that attend to an image (BLIP's image-grounded text encoder, section 3.1)."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.config import TextConfig
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs.layers import (
    CrossSource,
    Node,
    Weights,
    additive_mask,
    attend,
    constant,
    dimension,
    integers,
    linear,
    merge_heads,
    output,
    parameter,
    split_heads,
)
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
    w = Weights(checkpoint, "text_encoder")
    input_ids = parameter([-1, -1], np.int64, "input_ids")
    attention_mask = parameter([-1, -1], np.int64, "attention_mask")
    cross = cross_parameters(config)
    mask = additive_mask(attention_mask, [1, 2])
    length = ops.squeeze(dimension(input_ids, 1), integers(0))
    positions = ops.range(constant(0, np.int64), length, constant(1, np.int64), "i64")
    x = embeddings(word_table(w, config), input_ids, positions, w / "embeddings", config)
    for layer in range(config.num_hidden_layers):
        source = CrossSource(cross[2 * layer], cross[2 * layer + 1])
        x = encoder_layer(x, mask, source, w / "encoder.layer" / layer, config)
    result = output(x, "question_states")
    return ov.Model([result], [input_ids, attention_mask, *cross], "question")


def encoder_layer(x: Node, mask: Node, source: CrossSource, w: Weights, config: TextConfig) -> Node:
    """Self-attention, cross-attention to the image, feed-forward; each with residual and post-norm."""
    x = self_attention(x, mask, w / "attention", config)
    x = cross_attention(x, source, w / "crossattention", config)
    return feed_forward(x, w, config)


def self_attention(x: Node, mask: Node, w: Weights, config: TextConfig) -> Node:
    """Attention among the question's tokens, padding masked."""
    width, heads, head_size = config.hidden_size, config.num_attention_heads, config.head_size
    query, key, value = (
        split_heads(linear(x, w / "self" / name, width, width), heads, head_size) for name in ("query", "key", "value")
    )
    key = ops.multiply(ops.transpose(key, integers(0, 1, 3, 2)), constant(head_size**-0.5))
    context = merge_heads(attend(query, key, value, w.prefix, mask), width)
    return attention_output(context, x, w, config)
