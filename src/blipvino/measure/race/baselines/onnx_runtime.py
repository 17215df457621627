"""ONNX Runtime at its best: blipvino's own cuts, exported from PyTorch and quantized dynamically."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel

from blipvino.arrays import FloatArray, IntArray
from blipvino.checkpoint.config import BlipConfig
from blipvino.machine.record import this_machine
from blipvino.measure.race.baselines.common import Inputs, Step, build_once, copy_inputs, greedy, median_seconds
from blipvino.measure.race.baselines.torch_graphs import Answer, CrossKV, Question, Vision, load_model
from blipvino.measure.race.contender import Tokens

Values = Mapping[str, ort.OrtValue]
"""Tensors that ONNX Runtime holds, by the names of the inputs that read them; passing them on copies nothing."""


@dataclass(frozen=True)
class Part:
    """A module to export, its example inputs by name, and the names of its outputs."""

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]


def build_onnx(checkpoint: Path, folder: Path) -> None:
    """Export a checkpoint to ``float/*.onnx`` and quantize that to ``int8/*.onnx``; what is there already is kept."""
    copy_inputs(checkpoint, folder)
    names = _names(Inputs.load(folder).config)
    exported, quantized = ({name: folder / kind / f"{name}.onnx" for name in names} for kind in ("float", "int8"))
    for paths in (exported, quantized):
        paths["vision"].parent.mkdir(exist_ok=True)
    if not all(path.exists() for path in exported.values()):
        for name, part in _parts(load_model(checkpoint)).items():
            build_once(exported[name], partial(_export, part))
    for name in names:
        build_once(quantized[name], partial(_quantize, exported[name]))


class OnnxRuntimePipeline:
    """What `build_onnx` wrote, on every core, with every graph optimization.

    Cross K/V are projected once a source, self K/V stay ONNX Runtime's own tensors from step to step, and of an image
    that is asked about again the question encoder's keys and values are kept. Padding of a batch is masked.
    """

    def __init__(
        self,
        folder: Path,
        precision: Literal["float", "int8"] = "int8",
        threads: int | None = None,
        *,
        closes: bool = False,
    ) -> None:
        """Load it; ``closes`` is as of `greedy`."""
        self._closes = closes
        self._inputs = Inputs.load(folder)
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads or this_machine().cores
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._sessions = {
            name: ort.InferenceSession(folder / precision / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
            for name in _names(self._inputs.config)
        }
        self._prepared: Values = {}

    def caption(self, images: Sequence[Image.Image], new_tokens: int) -> Tokens:
        """Decode over the image embeddings."""
        embeds = self._embed(images)
        rows, length = embeds.shape()[:2]
        return self._decode(embeds, np.ones((rows, length), np.int64), new_tokens)

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str], new_tokens: int) -> Tokens:
        """Decode over the question states."""
        return self._answer(self._question_kv(self._embed(images)), questions, new_tokens)

    def prepare_image(self, image: Image.Image) -> None:
        """Keep what the question encoder reads of the image."""
        self._prepared = self._question_kv(self._embed([image]))

    def answer_again(self, question: str, new_tokens: int) -> Tokens:
        """Answer from the image's kept keys and values."""
        return self._answer(self._prepared, [question], new_tokens)

    def graph_seconds(self, image: Image.Image, question: str) -> dict[str, float]:
        """Seconds of "vision", "answer_kv" and "step"; where it answers questions, "question_kv" and "question" too."""
        pixel_values = _value(self._inputs.pixel_values([image]))
        embeds = self._embed([image])
        seconds = {
            "vision": median_seconds(lambda: self._run("vision", {"pixel_values": pixel_values})),
            "answer_kv": median_seconds(lambda: self._answer_kv(embeds)),
        }
        if self._inputs.config.answers_questions:
            cross = self._question_kv(embeds)
            seconds["question_kv"] = median_seconds(lambda: self._question_kv(embeds))
            seconds["question"] = median_seconds(lambda: self._encode([question], cross))
        step = self._step(embeds, np.ones(embeds.shape()[:2], np.int64))
        token = np.full((1, 1), self._inputs.config.text.bos_token_id, np.int64)
        return {**seconds, "step": median_seconds(lambda: step(token))}

    def _embed(self, images: Sequence[Image.Image]) -> ort.OrtValue:
        return self._run("vision", {"pixel_values": _value(self._inputs.pixel_values(images))})[0]

    def _question_kv(self, embeds: ort.OrtValue) -> Values:
        assert self._inputs.config.answers_questions, "this checkpoint captions only"
        return self._cross("question_kv", embeds)

    def _answer_kv(self, states: ort.OrtValue) -> Values:
        return self._cross("answer_kv", states)

    def _cross(self, name: str, states: ort.OrtValue) -> Values:
        return dict(zip(_cross_names(self._layers), self._run(name, {"states": states}), strict=True))

    def _encode(self, questions: Sequence[str], cross: Values) -> tuple[ort.OrtValue, IntArray]:
        tokens = self._inputs.texts.questions(questions)
        ids, mask = _value(tokens.input_ids), _value(tokens.attention_mask)
        return self._run("question", {"input_ids": ids, "attention_mask": mask, **cross})[0], tokens.attention_mask

    def _answer(self, cross: Values, questions: Sequence[str], new_tokens: int) -> Tokens:
        return self._decode(*self._encode(questions, cross), new_tokens)

    def _decode(self, states: ort.OrtValue, mask: IntArray, new_tokens: int) -> Tokens:
        text = self._inputs.config.text
        return greedy(self._step(states, mask), len(mask), text, new_tokens, closes=self._closes)

    def _step(self, states: ort.OrtValue, mask: IntArray) -> Step:
        text = self._inputs.config.text
        fixed = {"source_mask": _value(mask), **self._answer_kv(states)}
        empty = _value(np.zeros((len(mask), text.num_attention_heads, 0, text.head_size), np.float32))
        past = dict.fromkeys(_past_names(self._layers), empty)

        def step(tokens: IntArray) -> FloatArray:
            nonlocal past
            logits, *present = self._run("answer", {"input_ids": _value(tokens), **fixed, **past})
            past = dict(zip(past, present, strict=True))
            return logits.numpy()[:, -1]

        return step

    @property
    def _layers(self) -> int:
        return self._inputs.config.text.num_hidden_layers

    def _run(self, name: str, inputs: Values) -> list[ort.OrtValue]:
        return self._sessions[name].run_with_ort_values(None, inputs)


def _value(array: FloatArray | IntArray) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(array)


def _names(config: BlipConfig) -> list[str]:
    return ["vision", *(["question_kv", "question"] if config.answers_questions else []), "answer_kv", "answer"]


def _cross_names(layers: int) -> list[str]:
    return [f"cross_{kind}.{layer}" for layer in range(layers) for kind in ("key", "value")]


def _past_names(layers: int) -> list[str]:
    return [f"past_{kind}.{layer}" for layer in range(layers) for kind in ("key", "value")]


def _kind(name: str) -> str:
    """The name without its layer's number."""
    return name.partition(".")[0]


AXES = {
    "pixel_values": ("batch",),
    "states": ("batch", "source"),
    "input_ids": ("batch", "length"),
    "attention_mask": ("batch", "length"),
    "source_mask": ("batch", "source"),
    "cross_key": ("batch", "", "", "source"),
    "cross_value": ("batch", "", "source"),
    "past_key": ("batch", "", "past"),
    "past_value": ("batch", "", "past"),
}
"""The names of the dynamic axes of each kind of input."""


def _parts(model: PreTrainedModel) -> dict[str, Part]:
    """The modules to export, with small example inputs."""
    vision, text = model.config.vision_config, model.config.text_config
    heads, layers = text.num_attention_heads, text.num_hidden_layers
    head_size = text.hidden_size // heads
    pixel_values = torch.rand(2, 3, vision.image_size, vision.image_size)
    ids, mask = torch.ones((2, 3), dtype=torch.long), torch.ones((2, 5), dtype=torch.long)
    shapes = {"cross_key": (2, heads, head_size, 5), "cross_value": (2, heads, 5, head_size)}
    cross = {name: torch.rand(shapes[_kind(name)]) for name in _cross_names(layers)}
    past = {name: torch.rand(2, heads, 4, head_size) for name in _past_names(layers)}
    present = [name.replace("past", "present") for name in past]
    kv_inputs = {"states": torch.rand(2, 5, vision.hidden_size)}
    answer_inputs = {"input_ids": ids[:, :1], "source_mask": mask, **cross, **past}
    parts = {
        "vision": Part(Vision(model.vision_model), {"pixel_values": pixel_values}, ["image_embeds"]),
        "answer_kv": Part(CrossKV(model.text_decoder.bert), kv_inputs, list(cross)),
        "answer": Part(Answer(model.text_decoder), answer_inputs, ["logits", *present]),
    }
    if hasattr(model, "text_encoder"):
        question_inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **cross}
        parts["question_kv"] = Part(CrossKV(model.text_encoder), kv_inputs, list(cross))
        parts["question"] = Part(Question(model.text_encoder), question_inputs, ["question_states"])
    return parts


def _export(part: Part, path: Path) -> None:
    """Trace to ONNX with the older, TorchScript-based exporter: the newer one needs the package onnxscript as well."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part.module.eval(),
            tuple(part.inputs.values()),
            path,
            dynamo=False,
            input_names=list(part.inputs),
            output_names=list(part.outputs),
            dynamic_axes={name: _dynamic_axes(name) for name in part.inputs},
        )


def _dynamic_axes(name: str) -> dict[int, str]:
    return {axis: label for axis, label in enumerate(AXES[_kind(name)]) if label}


def _quantize(source: Path, path: Path) -> None:
    """8-bit weights, activations quantized as they come: the fastest of the settings tried.

    Unsigned weights took twice as long in the vision model, and its one convolution is slower and less exact in INT8.
    """
    logging.disable(logging.WARNING)  # it recommends shape inference first, which changed nothing here
    try:
        quantize_dynamic(
            source, path, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gather"]
        )
    finally:
        logging.disable(logging.NOTSET)
