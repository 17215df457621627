"""Image-text matching: whether a text fits an image (ITM; BLIP paper section 3.2).

As `transformers` has it, and the authors' code when it matches, a text begins with ``[CLS]`` here too; only training
puts another token there.
"""

from __future__ import annotations

import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs import layers as nn
from blipvino.graphs.text import cross_kv_graph
from blipvino.graphs.text_encoder import PREFIX, TextInputs, text_state


def match_kv_graph(checkpoint: Checkpoint) -> ov.Model:
    """``image_embeds`` ``[B, S, D]`` -> the text encoder's cross-attention keys and values."""
    return cross_kv_graph(checkpoint, "match_kv", PREFIX, "image_embeds")


def match_graph(checkpoint: Checkpoint) -> ov.Model:
    """Text tokens and the image's keys and values -> ``match_logits`` ``[R, 2]``: of "does not fit", and of "fits".

    The other output is ``match_state`` ``[R, D]``, what the logits are made of: two numbers alone say little of how
    exactly the graph is computed.

    Inputs: ``input_ids`` and ``attention_mask``, int64 ``[R, T]``; ``cross_key.i`` and ``cross_value.i`` of ``B``
    images, ``R`` being a multiple of ``B`` (see `cross_attention`).
    """
    config = checkpoint.config.text
    inputs = TextInputs.of_texts_about_images(config)
    state = text_state(inputs, nn.Weights(checkpoint, PREFIX), config)
    logits = nn.linear(state, nn.Weights(checkpoint, "itm_head"), config.hidden_size, 2)
    outputs = {"match_logits": logits, "match_state": state}
    results = [nn.output(ops.squeeze(node, nn.integers(1)), name) for name, node in outputs.items()]
    return ov.Model(results, inputs.parameters, "match")
