"""Calibration inputs of every graph: what the float graphs before it make of the samples, when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openvino as ov

from blipvino.arrays import FloatArray
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.compress.calibration import CalibrationSet, Inputs
from blipvino.compress.floats import run_float, through
from blipvino.graphs.building import build_graph
from blipvino.graphs.specs import GRAPHS, GraphSpec
from blipvino.graphs.surgery import joined
from blipvino.machine.core import openvino_core
from blipvino.progress import Reporter
from blipvino.runtime.decoding.cross_kv import CrossKV
from blipvino.runtime.decoding.generation import generate, row_generators
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.steps import Decoding

DECODER_TEXTS = 128
"""Texts that 4-bit weights are chosen on, NNCF's number."""


class GraphInputs:
    """Calibration inputs by graph.

    Args:
        checkpoint: makes the float graphs.
        calibration: the samples. Takes in what the float graphs make of them.
        reporter: says what is computed.
    """

    def __init__(self, checkpoint: Checkpoint, calibration: CalibrationSet, reporter: Reporter) -> None:
        self.calibration = calibration
        self._checkpoint = checkpoint
        self._reporter = reporter
        self._texts: list[Inputs] = []

    def of(self, name: str) -> Sequence[Inputs]:
        """One graph's inputs, sample by sample; instead of keys and values they have what `writer` makes them of."""
        reads = GRAPHS[name].reads
        if reads == "pixels":
            return self.calibration.vision_inputs()
        self._know_embeds()
        if reads == "image_embeds":
            return self.calibration.question_kv_inputs()
        if reads == "questions":
            return self._questions(GRAPHS[name])
        self._know_states()
        if reads == "source_states":
            return self.calibration.answer_kv_inputs()
        self._texts = self._texts or self._decoded()
        return self._texts

    def _questions(self, spec: GraphSpec) -> list[Inputs]:
        """Questions, with what stands for the keys and values that the graph reads, if it reads any."""
        asked = self.calibration.question_inputs()
        if spec.keys_from is not None:
            return asked
        return [{name: values for name, values in question.items() if name in spec.inputs} for question in asked]

    def writer(self, name: str) -> ov.Model | None:
        """The float graph that makes this graph's keys and values, if it reads any."""
        made_by = GRAPHS[name].keys_from
        return None if made_by is None else self.for_one_image(build_graph(self._checkpoint, made_by))

    def for_one_image(self, model: ov.Model) -> ov.Model:
        """The graph for a single image: a static shape runs faster, and ranges are averaged over images anyway."""
        shapes = {port.get_any_name(): list(port.get_partial_shape()) for port in model.inputs}
        if "image_embeds" in shapes:
            shapes["image_embeds"][1] = ov.Dimension(self._checkpoint.config.vision.num_positions)
        model.reshape({name: ov.PartialShape([ov.Dimension(1), *shape[1:]]) for name, shape in shapes.items()})
        return model

    def _know_embeds(self) -> None:
        if self.calibration.knows_embeds:
            return
        images = self.calibration.vision_inputs()
        samples = self._reporter.track(images, "Looking at calibration images", len(images))
        model = self.for_one_image(build_graph(self._checkpoint, "vision"))
        run_float(
            model, samples, lambda image, done: self.calibration.keep_embeds(image, done.get_output_tensor(0).data)
        )

    def _know_states(self) -> None:
        if self.calibration.knows_states or not self._checkpoint.config.answers_questions:
            return
        questions = self.calibration.question_inputs()
        samples = self._reporter.track(questions, "Reading calibration questions", len(questions))
        writer = self.writer("question")
        assert writer is not None
        model = joined(writer, build_graph(self._checkpoint, "question"))
        run_float(
            model, samples, lambda number, done: self.calibration.keep_states(number, done.get_output_tensor(0).data)
        )

    def _decoded(self) -> list[Inputs]:
        """The decoder's inputs while it says what the float model says: captions, and answers where it answers."""
        sources = [given["source_states"].astype(np.float32) for given in self.calibration.answer_kv_inputs()]
        places = np.linspace(0, len(sources) - 1, min(len(sources), DECODER_TEXTS)).astype(int)
        decoder = FloatDecoder(self._checkpoint)
        chosen = self._reporter.track(places, "Decoding calibration texts", len(places))
        return [decoder.inputs(sources[place]) for place in chosen]


class FloatDecoder:
    """The float decoder, for the texts that it gives."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.config.text
        self._project = through(build_graph(checkpoint, "answer_kv"))
        options = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        decoder = openvino_core().compile_model(build_graph(checkpoint, "answer"), "CPU", options)
        self._request = decoder.create_infer_request()

    def inputs(self, source_states: FloatArray) -> Inputs:
        """Inputs of `answer` for a source ``[1, S, D]`` and its whole text in one step.

        They have ``source_states`` instead of the keys and values that `answer_kv` makes of them.
        """
        mask = np.ones(source_states.shape[:2], np.int64)
        source = CrossKV(self._project({"source_states": source_states}))
        step = Decoding(source, mask, lambda single: self._request).step
        prompt, options = [self._config.bos_token_id], GenerationOptions()
        (row,) = generate(step, prompt, row_generators(1, 0), self._config.sep_token_id, options)
        tokens = np.array([row.token_ids], np.int64)
        return {
            "source_states": source_states,
            "source_mask": mask,
            "input_ids": tokens,
            "position_ids": np.arange(tokens.shape[1])[None],
            "beam_idx": np.zeros(1, np.int32),
        }
