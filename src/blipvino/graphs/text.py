"""What BLIP's question encoder and answer decoder share (upstream ``BlipTextModel``, after BLIP's ``med.py``)."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.config import TextConfig
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs import layers as nn


def cross_port(kind: str, layer: int) -> str:
    """Name of the port that carries one layer's cross-attention keys or values: ``cross_key.0``."""
    return f"cross_{kind}.{layer}"


def cross_kv_graph(checkpoint: Checkpoint, name: str, prefix: str, source: str) -> ov.Model:
    """The keys and values that every cross-attention below ``prefix`` makes of its source, all layers at once.

    ``source`` ``[B, S, D]`` -> ``cross_key.i`` ``[B, H, d, S]`` and ``cross_value.i`` ``[B, H, S, d]``, as
    `CrossSource` describes them.
    """
    config = checkpoint.config.text
    states = nn.parameter([-1, -1, config.encoder_hidden_size], np.float32, source)
    results = []
    for layer in range(config.num_hidden_layers):
        w = nn.Weights(checkpoint, prefix) / "encoder.layer" / layer / "crossattention.self"
        for kind, node in (("key", cross_key(states, w, config)), ("value", cross_value(states, w, config))):
            results.append(nn.output(node, cross_port(kind, layer)))
    return ov.Model(results, [states], name)


def cross_key(states: nn.Node, w: nn.Weights, config: TextConfig) -> nn.Node:
    """``[B, S, D] -> [B, H, d, S]``, with ``1 / sqrt(d)`` folded into the projection."""
    scale = np.float32(config.head_size**-0.5)
    weight = (w / "key").array("weight", config.hidden_size, config.encoder_hidden_size) * scale
    keys = nn.affine(states, weight, (w / "key").array("bias", config.hidden_size) * scale, f"{w.prefix}.key")
    shape = nn.integers(0, 0, config.num_attention_heads, config.head_size)
    return ops.transpose(ops.reshape(keys, shape, True), nn.integers(0, 2, 3, 1))


def cross_value(states: nn.Node, w: nn.Weights, config: TextConfig) -> nn.Node:
    """``[B, S, D] -> [B, H, S, d]``."""
    values = nn.linear(states, w / "value", config.encoder_hidden_size, config.hidden_size)
    return nn.split_heads(values, config.num_attention_heads, config.head_size)


def cross_parameters(config: TextConfig) -> list[nn.Node]:
    """The inputs ``cross_key.i`` and ``cross_value.i`` of a graph that attends to a projected source."""
    heads, head_size = config.num_attention_heads, config.head_size
    parameters = []
    for layer in range(config.num_hidden_layers):
        parameters.append(nn.parameter([-1, heads, head_size, -1], np.float32, cross_port("key", layer)))
        parameters.append(nn.parameter([-1, heads, -1, head_size], np.float32, cross_port("value", layer)))
    return parameters


def embeddings(words: nn.Node, input_ids: nn.Node, positions: nn.Node, w: nn.Weights, config: TextConfig) -> nn.Node:
    """Word and position embeddings ``[R, T, D]``, summed and normalised. ``words`` is the ``[vocab, D]`` table."""
    axis = nn.constant(0, np.int64)
    table = nn.constant((w / "position_embeddings").array("weight", config.max_position_embeddings, config.hidden_size))
    word = nn.named(ops.gather(words, input_ids, axis), f"{w.prefix}.word_embeddings/gather")
    position = nn.named(ops.gather(table, positions, axis), f"{w.prefix}.position_embeddings/gather")
    return nn.layer_norm(ops.add(word, position), w / "LayerNorm", config.hidden_size, config.layer_norm_eps)


def cross_attention(x: nn.Node, source: nn.CrossSource, w: nn.Weights, config: TextConfig) -> nn.Node:
    """Attention of text rows ``[R, T, D]`` over the projected source of ``B`` images.

    Rows ``i * R / B`` to ``(i + 1) * R / B - 1`` (several questions about an image, or the beams of one) attend to
    source ``i``: their tokens are laid side by side as queries, so the source is never repeated for them.
    """
    query = nn.linear(x, w / "self.query", config.hidden_size, config.hidden_size)
    head_shape = nn.integers(-1, config.num_attention_heads, config.head_size)
    query = ops.reshape(query, ops.concat([nn.dimension(source.key, 0), head_shape], 0), False)
    query = ops.transpose(query, nn.integers(0, 2, 1, 3))
    context = nn.attend(query, source.key, source.value, w.prefix, source.mask)
    context = ops.reshape(ops.transpose(context, nn.integers(0, 2, 1, 3)), ops.shape_of(x), False)
    return attention_output(context, x, w, config)


def attention_output(context: nn.Node, residual: nn.Node, w: nn.Weights, config: TextConfig) -> nn.Node:
    """Output projection, residual and post-norm (upstream ``BlipTextSelfOutput``)."""
    projected = nn.linear(context, w / "output.dense", config.hidden_size, config.hidden_size)
    norm = w / "output.LayerNorm"
    return nn.layer_norm(ops.add(projected, residual), norm, config.hidden_size, config.layer_norm_eps)


def feed_forward(x: nn.Node, w: nn.Weights, config: TextConfig) -> nn.Node:
    """Two linear layers with GELU between, residual and post-norm."""
    width, inner = config.hidden_size, config.intermediate_size
    hidden = nn.gelu(nn.linear(x, w / "intermediate.dense", width, inner))
    summed = ops.add(nn.linear(hidden, w / "output.dense", inner, width), x)
    return nn.layer_norm(summed, w / "output.LayerNorm", width, config.layer_norm_eps)


def word_table(w: nn.Weights, config: TextConfig) -> nn.Node:
    """The word embeddings ``[vocab, D]``, one constant for all that read it."""
    table = w.array("embeddings.word_embeddings.weight", config.vocab_size, config.hidden_size)
    return nn.named(nn.constant(table), f"{w.prefix}.embeddings.word_embeddings")
