"""The compiled graphs of one bundle: arrays in, arrays out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property

import numpy as np
import openvino as ov

from blipvino.arrays import AnyArray, FloatArray, IntArray, Pixels
from blipvino.checkpoint.config import BlipConfig
from blipvino.errors import InputError
from blipvino.graphs.joining import PAST_START
from blipvino.machine.host import Choice
from blipvino.runtime.compiling.compiler import Compiler
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.compiling.graph_sources import GraphSource
from blipvino.runtime.compiling.selftest import SelfTest
from blipvino.runtime.compiling.sizes import ANY, Sizes
from blipvino.runtime.decoding.cross_kv import Arena, CrossKV, empty_cross_kv
from blipvino.runtime.decoding.running_batch import RunningBatch
from blipvino.runtime.decoding.steps import Branching, Decoding, joinable
from blipvino.runtime.decoding.token_scores import Step

TEXT_LENGTHS = (8, 16, 32, 64, 128, 256)
"""A lone text is padded to the least of these that holds it, so that a few compiled graphs serve all lengths."""
LENGTH_STEP = 4
"""Several texts are padded to a multiple of this, as one graph takes them whatever their length: padding costs as much
as text."""
SHORT_QUESTION = 32
"""Up to this length questions are padded alike where they are decoded."""
LONGER = 4
"""What is added to a length that is not to be used."""


class Engine:
    """The graphs as functions of arrays. Each is compiled when it is first needed, for the shapes that are needed.

    `vision` and the projections of images take one image at a time. One row of text gets a graph of its own for every
    padded length, several rows share one that takes any number of any length: with the number open, an open length
    changes neither speed nor results.

    Every inference shares its outputs: without that OpenVINO copies all of them into a result that nobody reads, which
    for keys and values of an image takes as long as computing them.

    `image_embeds` may run in one thread while another runs the rest; apart from that, calls must take turns: whoever
    decodes holds `lock` from the start of a decoding to its end, since each takes over the memory of the one before.
    Running batches, and what `branch` gives, have requests of their own.
    """

    def __init__(
        self,
        graphs: Mapping[str, GraphSource],
        config: BlipConfig,
        options: EngineOptions,
        selftest: SelfTest | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._config = config
        self._compiler = Compiler(graphs, config, options, selftest)
        self._arena = Arena()
        self.question_arena = Arena()
        self._projectors: dict[Sizes, ov.InferRequest] = {}
        self._branching: dict[Sizes, ov.InferRequest] = {}

    @property
    def options(self) -> EngineOptions:
        """How its graphs are compiled."""
        return self._compiler.options

    @property
    def arithmetic(self) -> Choice:
        """The arithmetic of quantized graphs, and why it is that one."""
        return self._compiler.choice

    @property
    def images_at_once(self) -> int:
        """Images that `image_embeds` works on side by side."""
        return self._compiler.side_by_side

    def image_embeds(self, pixels: Pixels) -> FloatArray:
        """uint8 ``[B, size, size, 3]`` -> float32 ``[B, S, D]``."""
        vision = self._config.vision
        embeds = np.empty((len(pixels), vision.num_positions, vision.hidden_size), np.float32)

        def keep(request: ov.InferRequest, place: int) -> None:
            embeds[place] = request.get_tensor("image_embeds").data[0]

        self._vision.set_callback(keep)
        for place, image in enumerate(pixels):
            self._vision.start_async({"pixels": image[None]}, place)
        self._vision.wait_all()
        return embeds

    def run(self, name: str, inputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Any graph by its name, compiled for any sizes.

        Args:
            name: of the graph.
            inputs: by name, as its `GraphSpec` lists them.

        Returns:
            Copies of its outputs by name.

        Raises:
            InputError: the model has no such graph, or the inputs are not its.
        """
        request = self._compiler.request(name, Sizes())
        expected = sorted(port.get_any_name() for port in request.model_inputs if port.get_any_name() != PAST_START)
        if sorted(inputs) != expected:
            raise InputError(f"{name} reads {', '.join(expected)}, found {', '.join(sorted(inputs)) or 'nothing'}")
        for port in request.model_inputs:  # a graph of open shapes would not check them
            array, shape = inputs.get(port.get_any_name()), port.get_partial_shape()
            if array is not None and not shape.compatible(ov.PartialShape(list(array.shape))):
                raise InputError(f"{name}: {port.get_any_name()} is {list(array.shape)}, expected {shape}")
        given = dict(inputs)
        if joinable(request):  # all rows begin at once
            given[PAST_START] = np.zeros(len(inputs["beam_idx"]), np.int64)
        made = request.infer(given, share_outputs=True)
        return {port.get_any_name(): np.array(made[port]) for port in request.model_outputs}

    def image_embedding(self, image_embeds: FloatArray) -> FloatArray:
        """One image's embeddings ``[1, S, D]`` -> the one that texts are compared with, ``[1, P]`` of length 1."""
        request = self._compiler.request("image_embedding", Sizes(1, image_embeds.shape[1]))
        request.infer({"image_embeds": image_embeds}, share_outputs=True)
        return _of_length_1(request.get_tensor("image_embedding").data)

    def text_embedding(self, input_ids: IntArray, attention_mask: IntArray) -> FloatArray:
        """Texts ``[R, T]`` -> what images are compared with, ``[R, P]`` of length 1."""
        return _of_length_1(self._read_texts("text_embedding", "text_embedding", input_ids, attention_mask))

    def match_kv(self, image_embeds: FloatArray) -> CrossKV:
        """One image's embeddings ``[1, S, D]`` -> its keys and values where texts are matched with it."""
        return self._project("match_kv", image_embeds)

    def match(self, input_ids: IntArray, attention_mask: IntArray, images: CrossKV) -> FloatArray:
        """Texts ``[R, T]`` and one image -> logits ``[R, 2]`` of "does not fit" and "fits"."""
        return self._read_texts("match", "match_logits", input_ids, attention_mask, images)

    def question_kv(self, image_embeds: FloatArray) -> CrossKV:
        """One image's embeddings ``[1, S, D]`` -> its keys and values in the question encoder."""
        return self._project("question_kv", image_embeds)

    def question_states(self, input_ids: IntArray, attention_mask: IntArray, images: CrossKV) -> FloatArray:
        """Questions ``[R, T]`` about ``B`` images, ``R / B`` about each in turn -> ``[R, T, D]``."""
        states = self._read_texts("question", "question_states", input_ids, attention_mask, images)
        return states[:, : input_ids.shape[1]]

    def _read_texts(
        self, name: str, output: str, input_ids: IntArray, attention_mask: IntArray, images: CrossKV | None = None
    ) -> FloatArray:
        """What a graph makes of texts ``[R, T]``, of their padding too, alone or about images."""
        rows, length = input_ids.shape
        tokens = self.text_length(length, rows)
        about = (ANY, ANY)
        if images is not None:
            about = (1 if images.batch == 1 else ANY, self._config.vision.num_positions)
        request = self._compiler.request(name, Sizes(*about, 1, tokens) if rows == 1 else Sizes(*about))
        if images is not None:
            images.bind(request)
        request.set_tensor("input_ids", ov.Tensor(_padded(input_ids, tokens)))
        request.set_tensor("attention_mask", ov.Tensor(_padded(attention_mask, tokens)))
        request.infer(share_outputs=True)
        return np.array(request.get_tensor(output).data)

    def answer_kv(self, source_states: FloatArray) -> CrossKV:
        """Question states or image embeddings ``[B, S, D]`` -> the decoder's keys and values."""
        return self._project("answer_kv", source_states)

    def decode(self, source_states: FloatArray, source_mask: IntArray) -> Step:
        """Start decoding over question states or image embeddings ``[B, S, D]`` that ``source_mask`` ``[B, S]`` allows.

        Keys and values are projected into memory that is used again and again: it ends the decoding before.
        """
        return self.decoder(*self._source(source_states, source_mask, self._arena))

    def branch(
        self,
        source_states: FloatArray,
        source_mask: IntArray,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Iterator[Branching]:
        """As `decode`, but source after source by itself, with rows that branch. Each ends the one before.

        Their steps may run while another thread does anything else than to branch; whoever asks for the first needs
        `lock` no longer.

        Args:
            source_states: as of `decode`.
            source_mask: likewise.
            turn: entered for each step.
        """
        sources, mask = self._source(source_states, source_mask, None)
        sizes = self._step_sizes(mask.shape[1], single=False)
        if sizes not in self._branching:
            self._branching[sizes] = self._compiler.new_request("answer", sizes)
        places = (slice(place, place + 1) for place in range(sources.batch))
        return (Branching(sources[one], mask[one], self._branching[sizes], turn) for one in places)

    def decoder(self, source: CrossKV, source_mask: IntArray) -> Step:
        """Start decoding over sources whose positions ``source_mask`` ``[B, S]`` allows. One text batch at a time.

        The keys and values are bound once, not copied; they are overwritten when rows leave.
        """
        positions = source_mask.shape[1]
        return Decoding(source, source_mask, lambda single: self._step_request(positions, single)).step

    def text_length(self, length: int, rows: int = 1) -> int:
        """What a text of so many tokens is padded to where so many rows are read together.

        It is never the width of a head: OpenVINO 2026.4 computes attention wrongly where queries, keys and values of
        one head are square, in bfloat16 around 8-bit kernels (to be seen from the 17th token on).
        """
        longest, square = self._config.text.max_position_embeddings, self._config.text.head_size
        steps = TEXT_LENGTHS if rows == 1 else range(LENGTH_STEP, longest, LENGTH_STEP)
        lengths = (padded + LONGER if padded == square else padded for padded in steps)
        return min([padded for padded in lengths if length <= padded <= longest], default=longest)

    def source_positions(self, length: int) -> int:
        """What a source of so many positions is padded to where it is decoded.

        Short questions are all padded alike: one batch takes them all, and a graph for each length would take as much
        memory as the decoder's weights.
        """
        if length == self._config.vision.num_positions:
            return length
        return self.text_length(max(length, SHORT_QUESTION))

    def running_batch(self, positions: int, beams: int, *, alone: bool) -> RunningBatch:
        """A batch of its own memory and state, that texts join and leave, over sources of so many positions.

        Args:
            positions: of `source_positions`.
            beams: rows of every text.
            alone: whether it never holds more than one row, for which a graph of static shapes is faster.
        """
        request = self._compiler.new_request("answer", self._step_sizes(positions, single=alone))
        return RunningBatch(request, self._projector(positions, alone).model_outputs, positions, beams)

    def projection(
        self, states: Sequence[FloatArray], masks: Sequence[IntArray], positions: int, *, alone: bool
    ) -> tuple[Callable[[CrossKV], None], IntArray]:
        """What writes sources' keys and values into places of a running batch, and their padded masks ``[N, S]``.

        Args:
            states: of each, float32 ``[S, D]``.
            masks: of each, int64 ``[S]``.
            positions: of the batch.
            alone: as of the batch.
        """
        request = self._projector(positions, alone)
        (port,) = request.model_inputs
        padded = np.concatenate([_padded(each[None], positions) for each in states])
        # Images one by one, each into its place; texts all at once.
        step = 1 if positions == self._config.vision.num_positions else len(states)

        def project(places: CrossKV) -> None:
            for first in range(0, len(padded), step):
                some = slice(first, first + step)
                request.set_tensor(port, ov.Tensor(np.ascontiguousarray(padded[some])))
                places[some].bind(request)
                request.infer(share_outputs=True)

        return project, np.concatenate([_padded(mask[None], positions) for mask in masks])

    def _projector(self, positions: int, alone: bool) -> ov.InferRequest:
        """The request that projects sources of running batches, whoever else projects meanwhile.

        Short questions that are decoded beside others are projected by one graph, whatever their length.
        """
        sizes = Sizes(1, positions) if alone or positions == self._config.vision.num_positions else Sizes()
        if sizes not in self._projectors:
            self._projectors[sizes] = self._compiler.new_request("answer_kv", sizes)
        return self._projectors[sizes]

    def _step_request(self, positions: int, single: bool) -> ov.InferRequest:
        return self._compiler.request("answer", self._step_sizes(positions, single))

    def _step_sizes(self, positions: int, single: bool) -> Sizes:
        """One row of text has a graph of its own, more rows share one."""
        if single:
            return Sizes(1, positions, 1, 1)
        # A step of open positions fails in bfloat16 over short sources.
        return Sizes(positions=positions) if self._compiler.computes_in_bf16 else Sizes()

    def _source(
        self, source_states: FloatArray, source_mask: IntArray, arena: Arena | None
    ) -> tuple[CrossKV, IntArray]:
        """The decoder's keys and values, and their mask, both padded to a length that graphs are compiled for."""
        length = self.source_positions(source_states.shape[1])
        return self._project("answer_kv", _padded(source_states, length), arena), _padded(source_mask, length)

    def _project(self, name: str, states: FloatArray, arena: Arena | None = None) -> CrossKV:
        """Keys and values of ``[B, S, D]``: images one by one, each into its place, texts all at once."""
        sources, positions, _ = states.shape
        step = 1 if positions == self._config.vision.num_positions else sources
        request = self._compiler.request(name, Sizes(1, positions) if step == 1 else Sizes())
        result = empty_cross_kv(request.model_outputs, sources, positions, arena)
        (port,) = request.model_inputs
        for first in range(0, sources, step):
            places = slice(first, first + step)
            request.set_tensor(port, ov.Tensor(np.ascontiguousarray(states[places])))
            result[places].bind(request)
            request.infer(share_outputs=True)
        return result

    @cached_property
    def _vision(self) -> ov.AsyncInferQueue:
        return self._compiler.queue("vision", Sizes(sources=1))


def _padded(rows: AnyArray, length: int) -> AnyArray:
    """``[B, S, ...]`` with zeros up to a length of ``S``; masks hide them."""
    missing = length - rows.shape[1]
    return np.pad(rows, [(0, 0), (0, missing)] + [(0, 0)] * (rows.ndim - 2)) if missing else rows


def _of_length_1(rows: FloatArray) -> FloatArray:
    """A copy of rows ``[R, P]``, each of length 1."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
