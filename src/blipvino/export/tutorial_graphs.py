"""A bundle's graphs, joined and given the inputs and outputs of the tutorial's three models.

Shapes in the docstrings: ``B`` rows, ``T`` text tokens, ``P`` past tokens, ``S`` source positions, ``D`` width, ``H``
heads, ``d`` width of a head. Whatever is quantized stays so: only what lies between the graphs, and what surrounds
them, is changed. Graphs that are given are used up.
"""

from __future__ import annotations

import re

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.config import RESCALE_FACTOR, PreprocessorConfig
from blipvino.graphs import layers as nn
from blipvino.graphs.handover import take_back_handover
from blipvino.graphs.surgery import feed, inputs_by_name, joined, name_operations, readers, replace_value

VISION, TEXT_ENCODER, TEXT_DECODER = "blip_vision_model", "blip_text_encoder", "blip_text_decoder_with_past"
"""The notebooks' names."""
_VARIABLE = re.compile(r"\.layer\.(\d+)\..*\.(key|value)")
"""What a decoder's state is called: ``text_decoder.bert.encoder.layer.0.attention.key``."""


def vision_model(vision: ov.Model, preprocessor: PreprocessorConfig) -> ov.Model:
    """``pixel_values`` float32 ``[B, 3, size, size]``, normalised -> ``last_hidden_state`` ``[B, patches + 1, D]``.

    Args:
        vision: reads grey levels, and has the normalisation in its weights.
        preprocessor: how ``pixel_values`` are normalised.
    """
    size = preprocessor.size
    pixel_values = nn.parameter([-1, 3, size, size], np.float32, "pixel_values")
    mean, std = (
        (np.reshape(each, (1, 3, 1, 1)) / RESCALE_FACTOR).astype(np.float32)
        for each in (preprocessor.image_mean, preprocessor.image_std)
    )
    levels = ops.add(ops.multiply(pixel_values, nn.constant(std)), nn.constant(mean))
    name_operations(vision)
    feed(vision, {"pixels": ops.transpose(levels, nn.integers(0, 2, 3, 1)).output(0)})
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
    _keep_every_token(decoder)
    past, present = _state_as_ports(decoder)
    own_mask = nn.parameter([-1, -1], np.int64, "attention_mask")
    _mask_own_tokens(decoder, own_mask)
    feed(decoder, {"position_ids": _positions(past[0], parameters["input_ids"]).output(0)})
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


def _keep_every_token(decoder: ov.Model) -> None:
    """Let the output layer see all tokens of the step, and not the last alone."""
    for node in decoder.get_ops():
        if node.get_type_name() == "Gather":
            index = node.input_value(1).get_node()
            if index.get_type_name() == "Constant" and index.data.size == 1 and index.data.item() == -1:
                replace_value(node.output(0), node.input_value(0))


def _state_as_ports(decoder: ov.Model) -> tuple[list[nn.Node], list[nn.Node]]:
    """Parameters instead of what a graph remembers, and results of what it would remember, both layer by layer.

    The rows of a step go on from the same rows of the one before: there is no ``beam_idx`` any more.
    """
    past, present = [], []
    assigned = {sink.get_attributes()["variable_id"]: sink.input_value(0) for sink in decoder.get_sinks()}
    remembered = {
        node.get_attributes()["variable_id"]: node for node in decoder.get_ops() if node.get_type_name() == "ReadValue"
    }
    for variable in sorted(remembered, key=_layer_and_kind):
        layer, kind = _layer_and_kind(variable)
        read = remembered[variable]
        parameter = nn.parameter(list(_dimensions(read)), np.float32, f"past_{kind}.{layer}")
        (reordered,) = _readers(read)
        replace_value(reordered.output(0), parameter.output(0))
        past.append(parameter)
        present.append(nn.output(assigned[variable], f"present_{kind}.{layer}"))
    return past, present


def _layer_and_kind(variable: str) -> tuple[int, str]:
    found = _VARIABLE.search(variable)
    assert found is not None, variable
    return int(found[1]), found[2]


def _dimensions(node: nn.Node) -> list[int]:
    return [-1 if dimension.is_dynamic else dimension.get_length() for dimension in node.get_output_partial_shape(0)]


def _positions(past: nn.Node, input_ids: nn.Node) -> nn.Node:
    """Positions ``[1, T]`` of a step's tokens, counted on from what came before."""
    start, steps = (ops.squeeze(nn.dimension(*each), nn.integers(0)) for each in ((past, 2), (input_ids, 1)))
    counted = ops.range(start, ops.add(start, steps), nn.constant(1, np.int64), "i64")
    return ops.unsqueeze(counted, nn.integers(0))


def _mask_own_tokens(decoder: ov.Model, attention_mask: nn.Node) -> None:
    """Add a mask over a row's own tokens to the causal one."""
    attentions = [node for node in decoder.get_ops() if node.get_type_name() == "ScaledDotProductAttention"]
    mask = ops.add(attentions[0].input_value(3), nn.additive_mask(attention_mask, [1, 2]))
    for attention in attentions:
        attention.input(3).replace_source_output(mask.output(0))
