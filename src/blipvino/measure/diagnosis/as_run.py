"""The error of a bundle's graphs by the kernels that run on this host, end to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from blipvino.arrays import FloatArray, IntArray
from blipvino.checkpoint.config import BlipConfig
from blipvino.compress.calibration import CalibrationImage, Inputs
from blipvino.graphs.specs import specs_of
from blipvino.metrics.sqnr import Fidelity
from blipvino.progress import Reporter
from blipvino.runtime.decoding.cross_kv import CrossKV
from blipvino.runtime.engine import Engine


class AsRun:
    """Runs the original's graphs and a bundle's, each on what those before it made, and compares what they make.

    Args:
        original: the checkpoint's float graphs, in float32.
        bundle: the bundle's graphs, as they run here.
        config: of both.
        scales: of the bundle's outputs that cross to another graph in 8 bits, by name.
        steps: tokens of a text that the decoder is measured on.
    """

    def __init__(
        self, original: Engine, bundle: Engine, config: BlipConfig, scales: Mapping[str, float], steps: int
    ) -> None:
        self._engines = original, bundle
        self._config = config
        self._decodes = any(spec.makes_texts for spec in specs_of(config.architecture))
        self._scales = scales
        self._steps = steps
        self._errors: dict[str, Fidelity] = {}

    def measure(self, images: Sequence[CalibrationImage], reporter: Reporter) -> dict[str, Fidelity]:
        """The error of the outputs over the samples, of every graph that users' calls need, by its name."""
        for image in reporter.track(images, "Running both models", len(images)):
            embeds = [engine.image_embeds(image.pixels) for engine in self._engines]
            self._compare("vision", embeds)
            if self._config.retrieves:
                self._measure_retrieval(embeds, image.questions)
            if not self._decodes:
                continue
            if not self._config.answers_questions:
                self._measure_text(embeds, np.ones(embeds[0].shape[:2], np.int64))
                continue
            sources = [engine.question_kv(states) for engine, states in zip(self._engines, embeds, strict=True)]
            self._compare_kv("question_kv", sources, embeds[0].shape[1])
            for question in image.questions:
                tokens, mask = (np.asarray(question[name], np.int64) for name in ("input_ids", "attention_mask"))
                states = [
                    engine.question_states(tokens, mask, source)
                    for engine, source in zip(self._engines, sources, strict=True)
                ]
                self._compare("question", states)
                self._measure_text(states, mask)
        return self._errors

    def _measure_retrieval(self, embeds: Sequence[FloatArray], texts: Sequence[Inputs]) -> None:
        """Embeddings and matches of an image and the texts that come with it."""
        pairs = list(zip(self._engines, embeds, strict=True))
        self._compare("image_embedding", [engine.image_embedding(states) for engine, states in pairs])
        sources = [engine.match_kv(states) for engine, states in pairs]
        self._compare_kv("match_kv", sources, embeds[0].shape[1])
        for text in texts:
            tokens, mask = (np.asarray(text[name], np.int64) for name in ("input_ids", "attention_mask"))
            self._compare("text_embedding", [engine.text_embedding(tokens, mask) for engine in self._engines])
            made = [engine.match(tokens, mask, source) for engine, source in zip(self._engines, sources, strict=True)]
            self._compare("match", made)

    def _measure_text(self, states: Sequence[FloatArray], mask: IntArray) -> None:
        """The original's greedy text: both decoders are given what it has said so far."""
        sources = [engine.answer_kv(each) for engine, each in zip(self._engines, states, strict=True)]
        self._compare_kv("answer_kv", sources, mask.shape[1])
        steps = [engine.decoder(source, mask) for engine, source in zip(self._engines, sources, strict=True)]
        token = self._config.text.bos_token_id
        for _ in range(self._steps):
            scores = [step(np.array([[token]]), np.zeros(1, np.int64)) for step in steps]
            self._compare("answer", [score.logits() for score in scores])
            token = int(scores[0].top_ids[0, 0])
            if token == self._config.text.sep_token_id:
                break

    def _compare(self, graph: str, outputs: Sequence[FloatArray]) -> None:
        self._errors[graph] = self._errors.get(graph, Fidelity()) + Fidelity.of(*outputs)

    def _compare_kv(self, graph: str, sources: Sequence[CrossKV], positions: int) -> None:
        for original, computed in zip(*(source.as_floats(positions, self._scales) for source in sources), strict=True):
            self._compare(graph, [original, computed])
