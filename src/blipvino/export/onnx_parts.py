"""A bundle's graphs as the models that ONNX users know, their inputs and outputs called as optimum calls them.

Shapes: ``B`` rows of text, ``I`` images or other sources (``B`` is a multiple of it), ``T`` tokens, ``S`` source
positions, ``P`` tokens before, ``D`` width, ``H`` heads, ``d`` width of a head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.checkpoint.config import PreprocessorConfig
from blipvino.export.rewiring import keep_every_token, memories, positions_after, take_normalised_pixels
from blipvino.graphs import layers as nn
from blipvino.graphs.surgery import feed, inputs_by_name, outputs_by_name, replace_value

_BATCH, _SOURCES, _TOKENS, _POSITIONS = "batch_size", "source_batch_size", "sequence_length", "encoder_sequence_length"
_PAST, _PRESENT = "past_decoder_sequence_length", "past_decoder_sequence_length + sequence_length"
_DECODER_KEYS = (_BATCH, None, _PAST, None)
_ENCODER_KEYS = (_SOURCES, None, _POSITIONS, None)
AXES: Mapping[str, tuple[str | None, ...]] = {
    "pixel_values": (_BATCH, None, None, None),
    "input_ids": (_BATCH, _TOKENS),
    "attention_mask": (_BATCH, _TOKENS),
    "encoder_hidden_states": (_SOURCES, _POSITIONS, None),
    "encoder_attention_mask": (_SOURCES, _POSITIONS),
    "last_hidden_state": (_BATCH, _TOKENS, None),
    "logits": (_BATCH, _TOKENS, None),
    **{f"past_key_values.decoder.{kind}": _DECODER_KEYS for kind in ("key", "value")},
    **{f"past_key_values.encoder.{kind}": _ENCODER_KEYS for kind in ("key", "value")},
    **{f"present.encoder.{kind}": _ENCODER_KEYS for kind in ("key", "value")},
    **{f"present.decoder.{kind}": (_BATCH, None, _PRESENT, None) for kind in ("key", "value")},
}
"""Names of open dimensions."""


VISION, TEXT_ENCODER = "vision_model", "text_encoder_model"
DECODER, DECODER_WITH_PAST = "decoder_model", "decoder_with_past_model"
"""Names of the models."""


@dataclass(frozen=True)
class Part:
    """One ONNX model to be.

    Attributes:
        model: the graph, without a state.
        inputs: names of its parameters, in order.
        outputs: names of its results, in order.
    """

    model: ov.Model
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def vision_part(vision: ov.Model, preprocessor: PreprocessorConfig) -> Part:
    """``pixel_values`` float32 ``[B, 3, size, size]``, normalised -> ``last_hidden_state`` ``[B, S, D]``."""
    values = take_normalised_pixels(vision, preprocessor)
    outputs = {"last_hidden_state": outputs_by_name(vision)["image_embeds"]}
    return _part(VISION, {"pixel_values": values}, outputs)


def text_encoder_part(question_kv: ov.Model, question: ov.Model) -> Part:
    """``input_ids``, ``attention_mask`` ``[B, T]``, ``encoder_hidden_states`` ``[I, S, D]`` -> question states.

    The bundle's two graphs are one here; the output ``last_hidden_state`` is ``[B, T, D]``.
    """
    given = {_name(parameter): parameter for parameter in feed(question, outputs_by_name(question_kv))}
    (embeds,) = question_kv.get_parameters()
    outputs = {"last_hidden_state": outputs_by_name(question)["question_states"]}
    return _part(TEXT_ENCODER, {**given, "encoder_hidden_states": embeds}, outputs)


def decoder_part(answer_kv: ov.Model, answer: ov.Model) -> Part:
    """The first step: ``input_ids`` ``[B, T]``, ``encoder_hidden_states``, ``encoder_attention_mask`` ``[I, S]``.

    Its outputs are ``logits`` ``[B, T, vocab]`` and the keys and values of the text and of the source, which
    `decoder_with_past_part` takes.
    """
    projected = outputs_by_name(answer_kv)
    present = _without_past(answer)
    logits = _logits(answer)
    positions = positions_after(None, inputs_by_name(answer.get_parameters())["input_ids"].get_node())
    left = {
        _name(parameter): parameter for parameter in feed(answer, {**projected, "position_ids": positions.output(0)})
    }
    (states,) = answer_kv.get_parameters()
    inputs = {
        "input_ids": left["input_ids"],
        "encoder_hidden_states": states,
        "encoder_attention_mask": left["source_mask"],
    }
    source = {_encoder_name("present", name): _heads_first(name, value) for name, value in projected.items()}
    return _part(DECODER, inputs, {"logits": logits, **present, **source})


def decoder_with_past_part(answer: ov.Model) -> Part:
    """Each later step: ``input_ids`` ``[B, T]``, ``encoder_attention_mask`` and all keys and values -> ``logits``.

    Its outputs are the text's keys and values, those of ``T`` more tokens; the source's stay as they are.
    """
    past, present = _with_past(answer)
    logits = _logits(answer)
    input_ids = inputs_by_name(answer.get_parameters())["input_ids"].get_node()
    positions = positions_after(past["past_key_values.0.decoder.key"], input_ids)
    left = {_name(parameter): parameter for parameter in feed(answer, {"position_ids": positions.output(0)})}
    source = {
        _encoder_name("past_key_values", name): _keys_last(name, node) for name, node in left.items() if "." in name
    }
    inputs = {"input_ids": left["input_ids"], "encoder_attention_mask": left["source_mask"], **past, **source}
    return _part(DECODER_WITH_PAST, inputs, {"logits": logits, **present})


def _part(name: str, inputs: Mapping[str, ov.Node], outputs: Mapping[str, ov.Output]) -> Part:
    model = ov.Model([ops.result(value) for value in outputs.values()], list(inputs.values()), name)
    model.validate_nodes_and_infer_types()
    return Part(model, tuple(inputs), tuple(outputs))


def _name(parameter: ov.Node) -> str:
    return str(parameter.output(0).get_any_name())


def _logits(answer: ov.Model) -> ov.Output:
    """The logits of all tokens; the bundle's graph computes those of the last one."""
    keep_every_token(answer)
    return outputs_by_name(answer)["logits"]


def _without_past(answer: ov.Model) -> dict[str, ov.Output]:
    """Let the step be a text's first one. Returns what it leaves behind, by name."""
    remembered = memories(answer)
    for memory in remembered:
        replace_value(memory.present, memory.new)
    return {f"present.{memory.layer}.decoder.{memory.kind}": memory.new for memory in remembered}


def _with_past(answer: ov.Model) -> tuple[dict[str, ov.Node], dict[str, ov.Output]]:
    """Let the step take what it remembers as inputs. Returns these and what it leaves behind, by name."""
    inputs, outputs = {}, {}
    for memory in memories(answer):
        of_layer = f"{memory.layer}.decoder.{memory.kind}"
        inputs[f"past_key_values.{of_layer}"] = memory.past_as_input(f"past_key_values.{of_layer}")
        outputs[f"present.{of_layer}"] = memory.present
    return inputs, outputs


def _encoder_name(prefix: str, port: str) -> str:
    """``cross_key.3`` -> ``{prefix}.3.encoder.key``."""
    kind, layer = port.removeprefix("cross_").split(".")
    return f"{prefix}.{layer}.encoder.{kind}"


def _heads_first(name: str, value: ov.Output) -> ov.Output:
    """Keys as `optimum` has them, ``[I, H, S, d]``, like values."""
    return ops.transpose(value, nn.integers(0, 1, 3, 2)).output(0) if name.startswith("cross_key") else value


def _keys_last(name: str, parameter: ov.Node) -> ov.Node:
    """An input of keys ``[I, H, S, d]`` instead of ``[I, H, d, S]``; runtimes fuse transposition and product."""
    if not name.startswith("cross_key"):
        return parameter
    heads, width = (parameter.get_partial_shape()[axis] for axis in (1, 2))
    keys = ops.parameter(ov.PartialShape([-1, heads, -1, width]), np.float32, name)
    replace_value(parameter.output(0), ops.transpose(keys, nn.integers(0, 1, 3, 2)).output(0))
    return keys
