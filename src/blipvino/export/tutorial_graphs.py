"""A bundle's graphs, joined and given the inputs and outputs of the tutorial's three models.

Shapes in the docstrings: ``B`` rows, ``T`` text tokens, ``P`` past tokens, ``S`` source positions, ``D`` width, ``H``
heads, ``d`` width of a head. Whatever is quantized stays so: only what lies between the graphs, and what surrounds
them, is changed. Graphs that are given are used up.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.config import PreprocessorConfig
from blipvino.export.rewiring import keep_every_token, memories, positions_after, take_normalised_pixels
from blipvino.graphs import layers as nn
from blipvino.graphs.handover import take_back_handover
from blipvino.graphs.surgery import feed, inputs_by_name, joined, name_operations, readers

VISION, TEXT_ENCODER, TEXT_DECODER = "blip_vision_model", "blip_text_encoder", "blip_text_decoder_with_past"
"""The notebooks' names."""


def vision_model(vision: ov.Model, preprocessor: PreprocessorConfig) -> ov.Model:
    """``pixel_values`` float32 ``[B, 3, size, size]``, normalised -> ``last_hidden_state`` ``[B, patches + 1, D]``.

    Args:
        vision: reads grey levels, and has the normalisation in its weights.
        preprocessor: how ``pixel_values`` are normalised.
    """
    name_operations(vision)
    pixel_values = take_normalised_pixels(vision, preprocessor)
    (result,) = vision.get_results()
    return _finished([_renamed(result, "last_hidden_state")], [pixel_values], VISION)


def text_encoder(question_kv: ov.Model, question: ov.Model) -> ov.Model:
    """Question tokens and image embeddings -> ``last_hidden_state`` ``[B, T, D]``.

    Inputs: ``input_ids`` and ``attention_mask``, int64 ``[B, T]``; ``encoder_hidden_states`` ``[B, S, D]``;
    ``encoder_attention_mask``, int64 ``[B, S]``: ones where the image may be attended to.
    """
    for graph in (question_kv, question):
        take_back_handover(graph)
        name_operations(graph)
    source_mask = nn.parameter([-1, -1], np.int64, "encoder_attention_mask")
    blocked = nn.additive_mask(source_mask, [1, 2])
    for parameter in question.get_parameters():
        if str(parameter.output(0).get_any_name()).startswith("cross_key."):
            _add_to_product(parameter, blocked)
    question.add_parameters([source_mask])
    encoder = joined(question_kv, question)
    parameters = _parameters(encoder)
    states = _renamed(parameters["image_embeds"], "encoder_hidden_states")
    inputs = [parameters["input_ids"], parameters["attention_mask"], states, source_mask]
    (result,) = encoder.get_results()
    return _finished([_renamed(result, "last_hidden_state")], inputs, TEXT_ENCODER)


def text_decoder(answer_kv: ov.Model, answer: ov.Model) -> ov.Model:
    """One step: tokens, what they are about, and the keys and values before them -> ``logits`` ``[B, T, vocab]``.

    Inputs: ``input_ids``, int64 ``[B, T]``; ``attention_mask``, int64 ``[B, P + T]``: ones for the row's own tokens
    that may be attended to; ``encoder_hidden_states`` ``[B, S, D]``; ``encoder_attention_mask``, int64 ``[B, S]``; then
    ``past_key.i`` and ``past_value.i`` ``[B, H, P, d]`` of every layer. Outputs after the logits: ``present_key.i`` and
    ``present_value.i`` ``[B, H, P + T, d]``.
    """
    for graph in (answer_kv, answer):
        take_back_handover(graph)
        name_operations(graph)
    decoder = joined(answer_kv, answer)
    parameters = _parameters(decoder)
    keep_every_token(decoder)
    past, present = _state_as_ports(decoder)
    own_mask = nn.parameter([-1, -1], np.int64, "attention_mask")
    _mask_own_tokens(decoder, own_mask)
    feed(decoder, {"position_ids": positions_after(past[0], parameters["input_ids"]).output(0)})
    states = _renamed(parameters["source_states"], "encoder_hidden_states")
    source_mask = _renamed(parameters["source_mask"], "encoder_attention_mask")
    (logits,) = (result for result in decoder.get_results() if "logits" in result.output(0).get_names())
    inputs = [parameters["input_ids"], own_mask, states, source_mask, *past]
    return _finished([logits, *present], inputs, TEXT_DECODER)


def _parameters(model: ov.Model) -> dict[str, nn.Node]:
    return {name: port.get_node() for name, port in inputs_by_name(model.get_parameters()).items()}


def _renamed(port: nn.Node, name: str) -> nn.Node:
    """A parameter or result under another name."""
    port.output(0).set_names({name})
    return nn.named(port, name)


def _finished(results: list[nn.Node], parameters: list[nn.Node], name: str) -> ov.Model:
    """The model, of which every operation that was added has a name of its own."""
    model = ov.Model(results, parameters, name)
    name_operations(model)
    return model


def _readers(node: nn.Node) -> list[nn.Node]:
    """The operations that read a node's values, and not its shape alone."""
    return [reader for reader in readers(node) if reader.get_type_name() != "ShapeOf"]


def _add_to_product(key: nn.Node, mask: nn.Node) -> None:
    """Add a mask to the scores that a product with these keys makes, whatever quantizers stand before it."""
    node = key
    while node.get_type_name() != "MatMul":
        (node,) = _readers(node)
    ports = list(node.output(0).get_target_inputs())
    masked = ops.add(node, mask)
    for port in ports:
        port.replace_source_output(masked.output(0))


def _state_as_ports(decoder: ov.Model) -> tuple[list[nn.Node], list[nn.Node]]:
    """Parameters instead of what a graph remembers, and results of what it would remember, both layer by layer."""
    past, present = [], []
    for memory in memories(decoder):
        past.append(memory.past_as_input(f"past_{memory.kind}.{memory.layer}"))
        present.append(nn.output(memory.present.get_node(), f"present_{memory.kind}.{memory.layer}"))
    return past, present


def _mask_own_tokens(decoder: ov.Model, attention_mask: nn.Node) -> None:
    """Add a mask over a row's own tokens to the causal one."""
    attentions = [node for node in decoder.get_ops() if node.get_type_name() == "ScaledDotProductAttention"]
    mask = ops.add(attentions[0].input_value(3), nn.additive_mask(attention_mask, [1, 2]))
    for attention in attentions:
        attention.input(3).replace_source_output(mask.output(0))
