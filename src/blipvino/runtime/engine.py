"""The compiled graphs of one bundle: arrays in, arrays out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import openvino as ov

from blipvino.config import BlipConfig
from blipvino.runtime.generation import Step

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Precision = Literal["auto", "f32", "bf16"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrossKV:
    """Cross-attention keys and values of ``B`` sources, all layers, ready to be inputs of the graph that reads them.

    ``cross_key.i`` is float32 ``[B, H, d, S]`` and ``cross_value.i`` ``[B, H, S, d]``.
    """

    tensors: Mapping[str, FloatArray]

    @property
    def batch(self) -> int:
        """How many sources there are."""
        return next(iter(self.tensors.values())).shape[0]


@dataclass(frozen=True)
class EngineOptions:
    """How the graphs are compiled.

    Attributes:
        precision: of the arithmetic that is not quantized; "auto" is OpenVINO's choice for this CPU (bf16 where it
            has it, else f32).
        cache: folder for compiled graphs, so that a later start skips compilation; None keeps none.
        threads: CPU threads; None uses every core.
    """

    precision: Precision = "auto"
    cache: Path | None = None
    threads: int | None = None

    def properties(self) -> dict[str, Any]:
        """OpenVINO's names for these options."""
        # Texts are a few tokens long: an 8-bit K/V cache, the default, would save nothing and cost accuracy.
        chosen: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "KV_CACHE_PRECISION": "f32"}
        if self.precision != "auto":
            chosen["INFERENCE_PRECISION_HINT"] = self.precision
        if self.precision == "f32":
            chosen["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"  # weights may be 8-bit, activations stay exact
        if self.threads is not None:
            chosen["INFERENCE_NUM_THREADS"] = self.threads
        if self.cache is not None:
            chosen["CACHE_DIR"] = str(self.cache)
        return chosen


class Engine:
    """Compiles each graph when it is first needed.

    ``vision`` and ``question_kv`` run one image at a time with a static shape: only then does OpenVINO fuse the
    quantization into its kernels (dynamic INT8 is slower than FP16).
    """

    def __init__(self, graphs: Mapping[str, Path], config: BlipConfig, options: EngineOptions) -> None:
        self._graphs = graphs
        self._config = config
        self._core = ov.Core()
        self._core.set_property({"ENABLE_MMAP": True})
        self._options = options

    def image_embeds(self, pixels: npt.NDArray[np.uint8]) -> FloatArray:
        """uint8 ``[B, size, size, 3]`` -> float32 ``[B, S, D]``."""
        results = [self._vision.infer({"pixels": image[None]})["image_embeds"].copy() for image in pixels]
        return np.concatenate(results)

    def question_kv(self, image_embeds: FloatArray) -> CrossKV:
        """One image's embeddings ``[1, S, D]`` -> its keys and values in the question encoder."""
        return self._project(self._question_kv, "image_embeds", image_embeds)

    def question_states(self, input_ids: IntArray, attention_mask: IntArray, images: CrossKV) -> FloatArray:
        """Questions ``[R, T]`` about one image -> ``[R, T, D]``."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, **images.tensors}
        return np.array(self._question.infer(inputs)["question_states"])

    def answer_kv(self, source_states: FloatArray) -> CrossKV:
        """Question states or image embeddings ``[B, S, D]`` -> the decoder's keys and values."""
        return self._project(self._answer_kv, "source_states", source_states)

    def decoder(self, source: CrossKV, source_mask: IntArray) -> Step:
        """Start decoding over sources whose positions ``source_mask`` ``[B, S]`` allows. One text batch at a time."""
        request = self._answer
        request.reset_state()
        past = 0

        def step(input_ids: IntArray, beam_idx: IntArray) -> FloatArray:
            nonlocal past
            positions = np.broadcast_to(np.arange(past, past + input_ids.shape[1]), input_ids.shape)
            past += input_ids.shape[1]
            inputs = {
                "input_ids": input_ids,
                "position_ids": np.ascontiguousarray(positions),
                "beam_idx": beam_idx.astype(np.int32),
                "source_mask": source_mask,
                **source.tensors,
            }
            return np.array(request.infer(inputs, share_inputs=True)["logits"])

        return step

    @cached_property
    def _vision(self) -> ov.InferRequest:
        size = self._config.vision.image_size
        return self._compile("vision", {"pixels": [1, size, size, 3]})

    @cached_property
    def _question_kv(self) -> ov.InferRequest:
        vision = self._config.vision
        return self._compile("question_kv", {"image_embeds": [1, vision.num_positions, vision.hidden_size]})

    @cached_property
    def _question(self) -> ov.InferRequest:
        return self._compile("question")

    @cached_property
    def _answer_kv(self) -> ov.InferRequest:
        return self._compile("answer_kv")

    @cached_property
    def _answer(self) -> ov.InferRequest:
        return self._compile("answer")

    def _compile(self, name: str, shapes: Mapping[str, list[int]] | None = None) -> ov.InferRequest:
        logger.debug("compiling %s", name)
        model = self._core.read_model(self._graphs[name])
        if shapes is not None:
            model.reshape({port: ov.PartialShape(shape) for port, shape in shapes.items()})
        return self._core.compile_model(model, "CPU", self._options.properties()).create_infer_request()

    @staticmethod
    def _project(request: ov.InferRequest, port: str, states: FloatArray) -> CrossKV:
        results = request.infer({port: states})
        return CrossKV({output.get_any_name(): np.array(value) for output, value in results.items()})
