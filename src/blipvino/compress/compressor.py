"""One graph in, one compressed graph out."""

from __future__ import annotations

import time

import openvino as ov

from blipvino.checkpoint.tensors import Checkpoint
from blipvino.compress.calibration import CalibrationSet
from blipvino.compress.embeddings import look_up_in_8_bits
from blipvino.compress.graph_inputs import GraphInputs
from blipvino.compress.ptq import quantize_int8
from blipvino.compress.storage import fp16_bytes
from blipvino.compress.weights import compress_weights
from blipvino.graphs.building import build_graph
from blipvino.graphs.specs import GRAPHS, reads_texts
from blipvino.progress import Reporter
from blipvino.recipe import Treatment


class Compressor:
    """Builds and compresses graphs, in any order and as often as asked.

    What a graph is calibrated on is made by the float graphs before it, so no treatment depends on another. To quantize
    `vision` first saves a pass over the images: its float outputs are kept.
    """

    def __init__(self, checkpoint: Checkpoint, calibration: CalibrationSet | None, reporter: Reporter) -> None:
        self._checkpoint = checkpoint
        self._inputs = None if calibration is None else GraphInputs(checkpoint, calibration, reporter)
        self._reporter = reporter
        self.architecture = checkpoint.config.architecture
        self.fp16_bytes: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def compress(self, name: str, treatment: Treatment) -> ov.Model:
        """Build a graph and treat it; note what it weighed before and how long it took.

        Raises:
            CompressionError: NNCF cannot do so.
        """
        started = time.perf_counter()
        model = build_graph(self._checkpoint, name)
        self.fp16_bytes[name] = fp16_bytes(model)
        with self._reporter.around_library("nncf"):
            result = self._treat(name, model, treatment)
        self.seconds[name] = round(time.perf_counter() - started, 2)
        return result

    def _treat(self, name: str, model: ov.Model, treatment: Treatment) -> ov.Model:
        if treatment.method == "fp16":
            return model
        if not treatment.needs_data:
            return compress_weights(model, treatment)
        assert self._inputs is not None  # the treatment needs it, so `optimize` made it
        inputs, writer = self._inputs.of(name), self._inputs.writer(name)
        if treatment.method != "ptq_int8":
            return compress_weights(model, treatment, inputs, writer=writer)
        if writer is not None:
            quantized = quantize_int8(model, inputs, self._reporter, treatment=treatment, writer=writer)
            look_up_in_8_bits(quantized)
            return quantized
        dynamic = {port.get_any_name(): port.get_partial_shape() for port in model.inputs}
        looks = GRAPHS[name].makes_image_embeds and reads_texts(self.architecture)
        keep = self._inputs.calibration.keep_embeds if looks else None
        quantized = quantize_int8(
            self._inputs.for_one_image(model), inputs, self._reporter, treatment=treatment, keep=keep
        )
        quantized.reshape(dynamic)
        look_up_in_8_bits(quantized)  # of text encoders that read texts alone
        return quantized
