"""Running graphs on golden samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openvino as ov

from blipvino.arrays import AnyArray, FloatArray, IntArray
from blipvino.bundle.golden import Golden, sampled
from blipvino.checkpoint.config import BlipConfig
from blipvino.graphs.joining import PAST_START
from blipvino.graphs.specs import GRAPHS, GraphSpec
from blipvino.runtime.compiling.sizes import ANY, Sizes
from blipvino.runtime.decoding.cross_kv import CrossKV, empty_cross_kv
from blipvino.runtime.decoding.steps import joinable

RequestOf = Callable[[str, Sizes], ov.InferRequest]
"""The request of a compiled graph, for these sizes."""


@dataclass(frozen=True)
class Projected:
    """Padded states, and the keys and values that were made of them."""

    states: FloatArray
    made: CrossKV


class Runner:
    """Runs graphs on the golden inputs.

    Args:
        golden: those; results and expectations are not looked at.
        config: of the model.
        request_of: of the graphs that make keys and values.
    """

    def __init__(
        self,
        golden: Golden,
        config: BlipConfig,
        request_of: RequestOf,
    ) -> None:
        self._inputs = golden.inputs
        self._scales = golden.scales
        self._config = config
        self._request_of = request_of
        self._bound: Projected | None = None  # a request does not keep the memory alive that it reads and writes

    def run(self, case: str, sizes: Sizes, request: ov.InferRequest, *, whole: bool) -> dict[int, FloatArray]:
        """Results of a case's runs by their number: of all pictures if it is run on the whole, else of one."""
        graph, _, source = case.partition(".")
        spec = GRAPHS[graph]
        if spec.reads == "pixels":
            pictures = len(self._inputs.pixels) if whole else 1
            return {image: sampled([self.of_picture(request, image)]) for image in range(pictures)}
        if spec.reads == "questions":
            return {0: sampled([self.of_question(spec, request, sizes)])}
        if spec.reads == "texts":
            return self._text(spec, source, sizes, request)
        return {0: sampled(self._of_states(spec, source, sizes, request))}

    def of_picture(self, request: ov.InferRequest, image: int) -> FloatArray:
        """What a graph makes of one picture, `vision` float32 ``[1, S, D]``."""
        request.infer({"pixels": self._inputs.pixels[image : image + 1]}, share_outputs=True)
        return np.array(request.get_output_tensor(0).data)

    def of_question(self, spec: GraphSpec, request: ov.InferRequest, sizes: Sizes) -> FloatArray:
        """What a graph makes of the golden question, `question` float32 ``[1, T, D]`` without padding.

        Of several outputs all, side by side.
        """
        ids = self._inputs.input_ids
        assert ids is not None
        length = ids.shape[1]
        padded = np.zeros((1, length if sizes.tokens == ANY else sizes.tokens), np.int64)
        mask = padded.copy()
        padded[:, :length], mask[:, :length] = ids, 1
        if spec.keys_from is not None:
            positions = self._config.vision.num_positions if sizes.positions == ANY else sizes.positions
            self._bind(spec, Sizes(1, sizes.positions), "", request, positions)
        # Given to the call and not bound before it: OpenVINO 2026 crashes in a later request of a dynamic graph whose
        # bound inputs died with this one.
        request.infer({"input_ids": padded, "attention_mask": mask}, share_outputs=True)
        outputs = [np.array(request.get_output_tensor(number).data) for number in range(len(request.model_outputs))]
        made = np.concatenate(outputs, axis=-1)
        return made[:, :length] if spec.makes_question_states else made

    def start_text(self, spec: GraphSpec, source: str, sizes: Sizes, request: ov.InferRequest) -> None:
        """Bind what a text is about, and forget the text before."""
        positions = self._states(source).shape[1]
        padded = positions if sizes.positions == ANY else sizes.positions
        one = source == "image" or sizes.rows == 1  # has a graph of its own; the sources of several texts share one
        self._bind(spec, Sizes(1, padded) if one else Sizes(), source, request, padded)
        mask = np.zeros((1, padded), np.int64)
        mask[:, :positions] = 1
        request.set_tensor("source_mask", ov.Tensor(mask))
        request.reset_state()

    def logits(self, tokens: IntArray, past: int, request: ov.InferRequest) -> FloatArray:
        """Of the token after these, float32 ``[vocab]``; ``past`` others were given before."""
        request.set_tensor("input_ids", ov.Tensor(tokens[None].copy()))
        request.set_tensor("position_ids", ov.Tensor(np.arange(past, past + len(tokens))[None]))
        request.set_tensor("beam_idx", ov.Tensor(np.zeros(1, np.int32)))
        if joinable(request):
            request.set_tensor(PAST_START, ov.Tensor(np.zeros(1, np.int64)))
        request.infer(share_outputs=True)
        return np.array(request.get_tensor("logits").data[0], np.float32)

    def _text(self, spec: GraphSpec, source: str, sizes: Sizes, request: ov.InferRequest) -> dict[int, FloatArray]:
        """The float model's text: token by token, since the first one attends to nothing else, or all at once."""
        text = self._inputs.texts[source]
        self.start_text(spec, source, sizes, request)
        if sizes.tokens == ANY:
            return {len(text) - 1: self.logits(text, 0, request)}
        return {step: self.logits(text[step : step + 1], step, request) for step in range(len(text))}

    def _of_states(self, spec: GraphSpec, source: str, sizes: Sizes, request: ov.InferRequest) -> list[AnyArray]:
        """What a graph makes of image embeddings or question states: keys and values, or outputs of its own."""
        states = self._states(source)
        length = states.shape[1] if sizes.positions == ANY else sizes.positions
        if spec.projects:
            self._bound = _project(request, states, length)
            return list(self._bound.made.as_floats(states.shape[1], self._scales))
        (port,) = request.model_inputs
        request.infer({port: np.pad(states, [(0, 0), (0, length - states.shape[1]), (0, 0)])}, share_outputs=True)
        return [np.array(request.get_output_tensor(number).data) for number in range(len(request.model_outputs))]

    def _states(self, source: str) -> FloatArray:
        states = self._inputs.question_states if source == "question" else self._inputs.image_embeds
        assert states is not None
        return states

    def _bind(self, spec: GraphSpec, sizes: Sizes, source: str, reader: ov.InferRequest, positions: int) -> None:
        """Give a reader keys and values of the golden source."""
        assert spec.keys_from is not None
        self._bound = _project(self._request_of(spec.keys_from, sizes), self._states(source), positions)
        self._bound.made.bind(reader)


def _project(request: ov.InferRequest, states: FloatArray, length: int) -> Projected:
    """Keys and values of states ``[1, S, D]`` that are padded to a length."""
    padded = np.pad(states, [(0, 0), (0, length - states.shape[1]), (0, 0)])
    made = empty_cross_kv(request.model_outputs, 1, length)
    made.bind(request)
    (port,) = request.model_inputs
    request.set_tensor(port, ov.Tensor(padded))
    request.infer(share_outputs=True)
    return Projected(padded, made)
