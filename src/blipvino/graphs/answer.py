"""The answer decoder: one step of text generation (BLIP's image-grounded text decoder, section 3.1).

It attends to question states when it answers, and to image embeddings when it captions. Its self-attention keys and
values are state of the compiled graph: `beam_idx` says which row each row continues.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from openvino.op.util import Variable, VariableInfo

from blipvino.checkpoint.config import TextConfig
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.errors import CheckpointError
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

TOP_TOKENS = 16
"""Tokens that a step names: enough for 7 beams, each of which needs twice their number and one to skip."""


@dataclass
class DecoderState:
    """The step's inputs that every self-attention needs, and the assignments that they leave behind."""

    beam_idx: nn.Node
    position_ids: nn.Node
    sinks: list[nn.Node] = field(default_factory=list)
    mask: nn.Node | None = None

    def extend(self, name: str, new: nn.Node, config: TextConfig) -> nn.Node:
        """Append ``[R, H, T, d]`` to a remembered tensor, its rows first reordered by ``beam_idx``."""
        heads, head_size = config.num_attention_heads, config.head_size
        info = VariableInfo()
        info.data_shape = ov.PartialShape([-1, heads, -1, head_size])
        info.data_type = ov.Type.f32
        info.variable_id = name
        variable = Variable(info)
        rows = nn.dimension(self.beam_idx, 0)
        empty = ops.broadcast(nn.constant(0.0), ops.concat([rows, nn.integers(heads, 0, head_size)], 0))
        past = ops.gather(ops.read_value(empty, variable), self.beam_idx, nn.constant(0, np.int64))
        present = ops.concat([past, new], 2)
        self.sinks.append(ops.assign(present, variable))
        return present

    def causal_mask(self) -> nn.Node:
        """Additive mask ``[R, 1, T, S]``: a token sees itself and what came before. Made once, at the first layer."""
        if self.mask is None:
            # Of the positions and not of the keys' shape: OpenVINO fuses keys and attention into one node, and a mask
            # made of that node's output would be a loop (a step of static length failed to compile).
            length = ops.add(ops.reduce_max(self.position_ids, nn.integers(0, 1), False), nn.constant(1, np.int64))
            key_positions = ops.range(nn.constant(0, np.int64), length, nn.constant(1, np.int64), "i64")
            later = ops.greater(key_positions, ops.unsqueeze(self.position_ids, nn.integers(1, 3)))
            self.mask = ops.select(later, nn.constant(nn.MASKED), nn.constant(0.0))
        return self.mask


def answer_kv_graph(checkpoint: Checkpoint) -> ov.Model:
    """``source_states`` ``[B, S, D]`` (question states or image embeddings) -> the decoder's cross K/V."""
    return cross_kv_graph(checkpoint, "answer_kv", "text_decoder.bert", "source_states")


def answer_graph(checkpoint: Checkpoint) -> ov.Model:
    """One step: the next tokens of ``R`` rows -> ``logits`` ``[R, vocab]`` of the token after the last one.

    Further outputs spare the runtime the whole vocabulary, see `token_selection`.

    Inputs: ``input_ids`` and ``position_ids``, int64 ``[R, T]`` (the whole prompt at first, then one token);
    ``beam_idx``, int32 ``[R]``: the row of the step before that each row continues; ``source_mask``, int64
    ``[B, S]``: ones where the source may be attended to; ``cross_key.i`` and ``cross_value.i`` of ``B`` sources, ``R``
    being a multiple of ``B``.
    """
    config = checkpoint.config.text
    w = nn.Weights(checkpoint, "text_decoder.bert")
    input_ids = nn.parameter([-1, -1], np.int64, "input_ids")
    position_ids = nn.parameter([-1, -1], np.int64, "position_ids")
    beam_idx = nn.parameter([-1], np.int32, "beam_idx")
    source_mask = nn.parameter([-1, -1], np.int64, "source_mask")
    cross = cross_parameters(config)
    mask = nn.additive_mask(source_mask, [1, 2])
    state = DecoderState(beam_idx, position_ids)
    words = word_table(w, config)
    x = embeddings(words, input_ids, position_ids, w / "embeddings", config)
    for layer in range(config.num_hidden_layers):
        source = nn.CrossSource(cross[2 * layer], cross[2 * layer + 1], mask)
        x = decoder_layer(x, state, source, w / "encoder.layer" / layer, config)
    last = ops.gather(x, nn.constant(-1, np.int64), nn.constant(1, np.int64))
    logits = language_model_head(last, words, nn.Weights(checkpoint, "text_decoder.cls.predictions"), config)
    results = [nn.output(logits, "logits"), *token_selection(logits, config)]
    return ov.Model(results, state.sinks, [input_ids, position_ids, beam_idx, source_mask, *cross], "answer")


def decoder_layer(
    x: nn.Node, state: DecoderState, source: nn.CrossSource, w: nn.Weights, config: TextConfig
) -> nn.Node:
    """Causal self-attention, cross-attention to the source, feed-forward; each with residual and post-norm."""
    x = self_attention(x, state, w / "attention", config)
    x = cross_attention(x, source, w / "crossattention", config)
    return feed_forward(x, w, config)


def self_attention(x: nn.Node, state: DecoderState, w: nn.Weights, config: TextConfig) -> nn.Node:
    """Attention to the row's own tokens so far, whose keys and values are remembered from step to step."""
    width, heads, head_size = config.hidden_size, config.num_attention_heads, config.head_size
    query, key, value = (
        nn.split_heads(nn.linear(x, w / "self" / name, width, width), heads, head_size)
        for name in ("query", "key", "value")
    )
    keys = state.extend(f"{w.prefix}.key", key, config)
    values = state.extend(f"{w.prefix}.value", value, config)
    context = ops.scaled_dot_product_attention(query, keys, values, state.causal_mask())
    return attention_output(nn.merge_heads(context, width), x, w, config)


def language_model_head(x: nn.Node, words: nn.Node, w: nn.Weights, config: TextConfig) -> nn.Node:
    """``[R, D] -> [R, vocab]``: transform, then the output layer, whose weight is mostly the word embeddings again."""
    x = nn.gelu(nn.linear(x, w / "transform.dense", config.hidden_size, config.hidden_size))
    x = nn.layer_norm(x, w / "transform.LayerNorm", config.hidden_size, config.layer_norm_eps)
    projection = words if _has_words_as_output(w.checkpoint) else nn.constant(_output_weight(w, config))
    scores = nn.named(ops.matmul(x, projection, False, True), f"{w.prefix}.decoder/matmul")
    return nn.named(ops.add(scores, nn.constant(_output_bias(w, config))), f"{w.prefix}.decoder")


def token_selection(logits: nn.Node, config: TextConfig) -> list[nn.Node]:
    """What greedy and beam search need of the logits: the likeliest tokens, and the logarithm of softmax's divisor.

    Outputs: ``top_ids``, int64 ``[R, K]``, likeliest first, ``top_logits`` ``[R, K]``, ``log_normalizer`` ``[R, 1]``.
    """
    count = nn.constant(min(TOP_TOKENS, config.vocab_size), np.int64)
    values, ids = ops.topk(logits, count, -1, "max", "value", "i64").outputs()
    largest = ops.gather(values, nn.integers(0), nn.constant(-1, np.int64))
    total = ops.reduce_sum(ops.exp(ops.subtract(logits, largest)), nn.integers(-1), True)
    normalizer = ops.add(ops.log(total), largest)
    return [nn.output(ids, "top_ids"), nn.output(values, "top_logits"), nn.output(normalizer, "log_normalizer")]


def _output_weight(w: nn.Weights, config: TextConfig) -> nn.Array:
    return w.array("decoder.weight", config.vocab_size, config.hidden_size)


def _output_bias(w: nn.Weights, config: TextConfig) -> nn.Array:
    """What `transformers`' ``from_pretrained`` ends up adding, ``[vocab]``.

    That is ``decoder.bias`` wherever it is stored. Where it is not, a tied model shares ``bias`` with it, and an untied
    one, which never adds ``bias``, fills it with zeros.

    Raises:
        CheckpointError: a tied model stores neither, which `transformers` leaves uninitialised.
    """
    checkpoint, own, shared = w.checkpoint, f"{w.prefix}.decoder.bias", f"{w.prefix}.bias"
    if checkpoint.has(own):
        return w.array("decoder.bias", config.vocab_size)
    if not checkpoint.config.ties_output:
        return np.zeros(config.vocab_size, np.float32)
    if not checkpoint.has(shared):
        raise CheckpointError(
            f"{checkpoint.source}: neither {own!r} nor {shared!r} is in {', '.join(checkpoint.weight_files)}, and tied "
            "embeddings need one of them; download or save the checkpoint again"
        )
    return w.array("bias", config.vocab_size)


def _has_words_as_output(checkpoint: Checkpoint) -> bool:
    """Whether the output projection is the word embeddings, as in every published BLIP: tied, or equal to them."""
    tied = "text_decoder.cls.predictions.decoder.weight"
    words = "text_decoder.bert.embeddings.word_embeddings.weight"
    if not checkpoint.has(tied):
        return checkpoint.config.ties_output
    return np.array_equal(checkpoint.tensor(tied), checkpoint.tensor(words))
