"""The question encoder: question tokens that attend to an image (BLIP's image-grounded text encoder, section 3.1)."""

from __future__ import annotations

import openvino as ov

from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs import layers as nn
from blipvino.graphs.text import cross_kv_graph
from blipvino.graphs.text_encoder import PREFIX, TextInputs, text_states


def question_kv_graph(checkpoint: Checkpoint) -> ov.Model:
    """``image_embeds`` ``[B, S, D]`` -> the question encoder's cross-attention keys and values."""
    return cross_kv_graph(checkpoint, "question_kv", PREFIX, "image_embeds")


def question_graph(checkpoint: Checkpoint) -> ov.Model:
    """Question tokens and the image's keys and values -> ``question_states`` ``[R, T, D]``.

    Inputs: ``input_ids`` and ``attention_mask``, int64 ``[R, T]``; ``cross_key.i`` and ``cross_value.i`` of ``B``
    images, ``R`` being a multiple of ``B`` (see `cross_attention`).
    """
    config = checkpoint.config.text
    inputs = TextInputs.of_texts_about_images(config)
    states = text_states(inputs, nn.Weights(checkpoint, PREFIX), config)
    return ov.Model([nn.output(states, "question_states")], inputs.parameters, "question")
