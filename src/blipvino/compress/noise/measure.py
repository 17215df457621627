"""Measuring where a compressed model's error comes from, graph by graph and layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import openvino as ov

from blipvino.checkpoint.config import BlipConfig
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.compress.calibration import CalibrationImage
from blipvino.compress.noise.joint import CHAINED, Twins, join
from blipvino.compress.noise.layer_noise import LayerNoise
from blipvino.compress.noise.probe import Arrays, Measured, Probe
from blipvino.graphs.building import build_graph
from blipvino.graphs.specs import GRAPHS, graph_names
from blipvino.progress import Reporter

ANSWER_STEPS = 4
"""Tokens of a text that the decoder is measured on: what the original says, greedily."""


def rank_layers(
    checkpoint: Checkpoint,
    models: Mapping[str, ov.Model],
    images: Sequence[CalibrationImage],
    reporter: Reporter,
) -> dict[str, tuple[LayerNoise, ...]]:
    """The noise that each compressed operation introduces, for its signal, when it reads the original's values.

    What is ignored in a graph changes nothing in the others' lists, nor in the noise of its other operations (but for
    ranges that are calibrated anew): one ranking serves a whole search.

    Args:
        checkpoint: the original.
        models: compressed graphs by name, any of the checkpoint's, of `optimize` or fresh from NNCF; left as they are.
        images: what they run on, as `blipvino.compress.calibration.prepare_calibration` makes them.
        reporter: shows how far it is.

    Returns:
        By graph, every operation that reads quantized values or compressed weights, worst first. ``node`` is the
        friendly name for ``nncf.IgnoredScope(names=...)``, and ``noise_to_signal`` the measure.

    Raises:
        CompressionError: a model was not made of this checkpoint's graph.
    """
    found = {}
    for name, measured in measure(checkpoint, models, images, reporter, chain=False):
        rows = zip(measured.operations, measured.introduced, strict=True)
        layers = [LayerNoise(name, operation.node, introduced) for operation, introduced in rows]
        found[name] = tuple(sorted(layers, key=lambda layer: -layer.noise_to_signal))
    return found


def measure(
    checkpoint: Checkpoint,
    models: Mapping[str, ov.Model],
    images: Sequence[CalibrationImage],
    reporter: Reporter,
    *,
    chain: bool,
) -> Iterator[tuple[str, Measured]]:
    """Run every graph on the samples, in their order, one pass each.

    Args:
        checkpoint: the original.
        models: compressed graphs by name; in the chain, the original's stand for those that are missing.
        images: the samples. Each question is run, and up to `ANSWER_STEPS` tokens of each answer; of a checkpoint
            that only captions, as many tokens of each caption.
        reporter: shows how far it is.
        chain: measure the error of the outputs, and how errors accumulate, too.

    Yields:
        The name of each graph in ``models``, and what was measured.
    """
    names = graph_names(checkpoint.config.architecture)
    last = max(names.index(name) for name in models)
    samples = [_Sample(image, checkpoint.config) for image in images]
    for name in names[: last + 1]:
        if GRAPHS[name].projects and name not in models:
            continue  # the graph that reads its keys and values computes them by itself
        probe = _probe(checkpoint, name, models, chain=chain)
        for sample in reporter.track(samples, f"Measuring {name}", len(samples)):
            sample.run(name, probe)
        if name in models:
            yield name, probe.measured()


def _probe(checkpoint: Checkpoint, name: str, models: Mapping[str, ov.Model], *, chain: bool) -> Probe:
    def twins(graph: str) -> Twins:
        stands_in = chain and graph not in models
        return Twins(build_graph(checkpoint, graph), build_graph(checkpoint, graph) if stands_in else models.get(graph))

    made_by = GRAPHS[name].keys_from
    joint = join(twins(name), None if made_by is None else twins(made_by), chain=chain)
    return Probe(joint, _shapes(checkpoint.config))


def _shapes(config: BlipConfig) -> dict[str, ov.PartialShape]:
    """Inputs of all graphs for one image, or one text of any length."""
    size, positions = config.vision.image_size, config.vision.num_positions
    source = -1 if config.answers_questions else positions
    shapes: dict[str, list[int]] = {
        "pixels": [1, size, size, 3],
        "image_embeds": [1, positions, config.vision.hidden_size],
        "source_states": [1, source, config.text.encoder_hidden_size],
        "source_mask": [1, source],
        "input_ids": [1, -1],
        "attention_mask": [1, -1],
        "position_ids": [1, -1],
        "beam_idx": [1],
    }
    return {name: ov.PartialShape(shape) for name, shape in shapes.items()}


class _Sample:
    """An image, and what the graphs have made of it so far: the originals and, by prefixed names, the chain."""

    def __init__(self, image: CalibrationImage, config: BlipConfig) -> None:
        self._image = image
        self._config = config
        self._embeds: Arrays = {}
        self._sources: list[Arrays] = []

    def run(self, name: str, probe: Probe) -> None:
        """Run a graph's probe on all that this sample has for it."""
        spec = GRAPHS[name]
        if spec.reads == "pixels":
            made = probe.run({"pixels": self._image.pixels})
            if not spec.makes_image_embeds:
                return
            self._embeds = _handed_on(made, "image_embeds", "image_embeds")
            if not self._config.answers_questions:
                self._sources = [_handed_on(made, "image_embeds", "source_states")]
        elif spec.reads == "image_embeds":
            probe.run(self._embeds)
        elif spec.reads == "questions":
            embeds = {} if spec.keys_from is None else self._embeds
            asked = [probe.run({**embeds, **question}) for question in self._image.questions]
            if not spec.makes_question_states:
                return
            self._sources = [_handed_on(made, "question_states", "source_states") for made in asked]
        elif spec.reads == "source_states":
            for source in self._sources:
                probe.run(source)
        else:
            for source in self._sources:
                self._speak(probe, source)

    def _speak(self, probe: Probe, source: Arrays) -> None:
        """The original's greedy text: both graphs are given what it has said so far, as a prompt, at every step."""
        spoken = [self._config.text.bos_token_id]
        for _ in range(ANSWER_STEPS):
            tokens = {
                "input_ids": np.array([spoken]),
                "position_ids": np.arange(len(spoken))[None],
                "beam_idx": np.zeros(1, np.int32),
                "source_mask": np.ones(source["source_states"].shape[:2], np.int64),
            }
            following = int(probe.run({**source, **tokens})["top_ids"][0, 0])
            if following == self._config.text.sep_token_id:
                break
            spoken.append(following)


def _handed_on(made: Arrays, name: str, new_name: str) -> Arrays:
    """One output as the next graph's input; where nothing is chained there is only the original's."""
    return {new_name: made[name], CHAINED + new_name: made.get(CHAINED + name, made[name])}
