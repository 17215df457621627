"""Embeddings that images and texts are compared by: those that belong together are close (ITC; paper section 3.2).

Their length is made 1 by whoever runs the graphs: quantization would round what is divided by it, for nothing.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs import layers as nn
from blipvino.graphs.text_encoder import PREFIX, TextInputs, text_state


def image_embedding_graph(checkpoint: Checkpoint) -> ov.Model:
    """``image_embeds`` ``[B, S, D]`` -> ``image_embedding`` ``[B, P]`` of any length, of the class token alone."""
    config = checkpoint.config
    embeds = nn.parameter([-1, -1, config.vision.hidden_size], np.float32, "image_embeds")
    state = ops.gather(embeds, nn.integers(0), nn.constant(1, np.int64))
    embedding = _projection(state, nn.Weights(checkpoint, "vision_proj"), config.vision.hidden_size)
    return ov.Model([nn.output(embedding, "image_embedding")], [embeds], "image_embedding")


def text_embedding_graph(checkpoint: Checkpoint) -> ov.Model:
    """Texts ``input_ids`` and ``attention_mask``, int64 ``[R, T]`` -> ``text_embedding`` ``[R, P]`` of any length."""
    config = checkpoint.config.text
    inputs = TextInputs.of_texts()
    state = text_state(inputs, nn.Weights(checkpoint, PREFIX), config)
    embedding = _projection(state, nn.Weights(checkpoint, "text_proj"), config.hidden_size)
    return ov.Model([nn.output(embedding, "text_embedding")], inputs.parameters, "text_embedding")


def _projection(state: nn.Node, w: nn.Weights, width: int) -> nn.Node:
    """``[R, 1, D] -> [R, P]``."""
    projected = nn.linear(state, w, width, w.checkpoint.config.image_text_hidden_size)
    return ops.squeeze(projected, nn.integers(1))
