"""Embeddings that images and texts are compared by: those that belong together are close (ITC; paper section 3.2)."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs import layers as nn
from blipvino.graphs.text_encoder import PREFIX, TextInputs, text_state

_LEAST_SQUARE = 1e-24
"""Of a length that is divided by, as `torch.nn.functional.normalize` has it."""


def image_embedding_graph(checkpoint: Checkpoint) -> ov.Model:
    """``image_embeds`` ``[B, S, D]`` -> ``image_embedding`` ``[B, P]`` of length 1, of the class token alone."""
    config = checkpoint.config
    embeds = nn.parameter([-1, -1, config.vision.hidden_size], np.float32, "image_embeds")
    state = ops.gather(embeds, nn.constant(0, np.int64), nn.constant(1, np.int64))
    weights = nn.Weights(checkpoint, "vision_proj")
    embedding = _of_length_1(nn.linear(state, weights, config.vision.hidden_size, config.image_text_hidden_size))
    return ov.Model([nn.output(embedding, "image_embedding")], [embeds], "image_embedding")


def text_embedding_graph(checkpoint: Checkpoint) -> ov.Model:
    """Texts ``input_ids`` and ``attention_mask``, int64 ``[R, T]`` -> ``text_embedding`` ``[R, P]`` of length 1."""
    config = checkpoint.config
    inputs = TextInputs.of_texts()
    state = text_state(inputs, nn.Weights(checkpoint, PREFIX), config.text)
    weights = nn.Weights(checkpoint, "text_proj")
    embedding = _of_length_1(nn.linear(state, weights, config.text.hidden_size, config.image_text_hidden_size))
    return ov.Model([nn.output(embedding, "text_embedding")], inputs.parameters, "text_embedding")


def _of_length_1(x: nn.Node) -> nn.Node:
    return ops.normalize_l2(x, nn.integers(-1), _LEAST_SQUARE, "max")
