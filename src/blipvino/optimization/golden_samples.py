"""Making a bundle's golden samples: what the float model makes of them, and what is expected of the bundle's graphs."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openvino as ov
from PIL import Image

from blipvino.arrays import IntArray
from blipvino.bundle.golden import LONGEST, Expected, Golden, GoldenInputs, Results, rounded_to_8_bits
from blipvino.checkpoint.config import BlipConfig
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.data import QUESTIONS, Sample
from blipvino.data.caption_texts import FALLBACK_CAPTIONS
from blipvino.data.natural_pictures import Camera, natural_picture
from blipvino.graphs.building import build_graph
from blipvino.graphs.handover import handover_scales
from blipvino.graphs.specs import GRAPHS, graph_names, specs_of
from blipvino.machine.host import Arithmetic
from blipvino.metrics.sqnr import Fidelity
from blipvino.optimization.preprocessing import Processors
from blipvino.runtime.compiling.compiler import Compiler
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.compiling.golden_runs import Runner
from blipvino.runtime.compiling.graph_sources import GraphFile, GraphSource
from blipvino.runtime.compiling.selftest import cases, token_gap
from blipvino.runtime.compiling.sizes import Sizes
from blipvino.runtime.inputs.images import load_image

EXACT = EngineOptions(precision="f32", arithmetic="float", selftest="off")
TEXT_TOKENS = 4
"""Tokens of a golden text, start token included."""
LARGE_PICTURE = 2**18
"""Bytes of a picture above which there is only one, so that a bundle's golden samples stay below 2 MB."""

NATURAL_SIZE = (384, 384)
"""Of a generated picture, in pixels."""
BRIGHT = Camera(exposure=0.45, contrast=0.6, saturation=0.4, cast=(0.0, 0.0), grain=1.0)
"""What takes generated pictures: of bright ones the products add up to most, which kernels that overflow get wrong."""


@dataclass(frozen=True)
class BuiltGraph:
    """A float graph of a checkpoint, built when it is read."""

    checkpoint: Checkpoint
    name: str
    digest: None = None

    @property
    def place(self) -> str:
        """The checkpoint."""
        return self.checkpoint.source

    def read(self, core: ov.Core) -> ov.Model:  # as `GraphSource` has it
        """Build it."""
        return build_graph(self.checkpoint, self.name)


def golden_samples(checkpoint: Checkpoint, processors: Processors, pictures: Sequence[Image.Image]) -> Golden:
    """Run the float model on pictures and a question. Nothing is expected of compressed graphs yet.

    Args:
        checkpoint: the original.
        processors: of its inputs.
        pictures: two; of large ones only the first is taken.
    """
    config = checkpoint.config
    size = config.vision.image_size
    pixels = processors.images.pixels(pictures[: 2 if 3 * size * size <= LARGE_PICTURE else 1])
    graphs = {name: BuiltGraph(checkpoint, name) for name in graph_names(config.architecture)}
    inputs = GoldenInputs(pixels, np.empty((0, 0, 0), np.float32), _question(processors, config))
    return _run_float(graphs, inputs, config)


def with_expectations(golden: Golden, folder: Path, config: BlipConfig) -> Golden:
    """The same samples with what a folder's graphs make of them, rounded as their numbers say, in 8 and in 7 bits."""
    paths = {name: folder / f"{name}.xml" for name in graph_names(config.architecture)}
    graphs = {name: GraphFile(path) for name, path in paths.items()}
    golden = replace(golden, scales=handover_scales(folder, list(paths)))
    expected = _expectations(golden, graphs, config, "simulated")
    quantized = any("FakeQuantize" in path.read_text(encoding="utf-8") for path in paths.values())
    in_7_bits = _expectations(golden, graphs, config, "simulated-int7") if quantized else None
    return replace(golden, expected=expected, expected_in_7_bits=in_7_bits)


def _expectations(
    golden: Golden, graphs: Mapping[str, GraphSource], config: BlipConfig, arithmetic: Arithmetic
) -> dict[str, Expected]:
    """What each case comes to in an arithmetic."""
    expected = {}
    for graph, compiler in _one_by_one(graphs, config, replace(EXACT, arithmetic=arithmetic)):
        runner = Runner(golden, config, compiler.request)
        for case, sizes in _cases_of(graph, config, golden.inputs):
            made = runner.run(case, sizes, compiler.request(graph, sizes), whole=True)
            pairs = [(golden.results[case][place], run) for place, run in made.items()]
            noise = tuple(Fidelity.of(original, run).noise_to_signal for original, run in pairs)
            gap = max(token_gap(original, run) for original, run in pairs) if GRAPHS[graph].makes_texts else 0.0
            expected[case] = Expected(noise, gap)
    return expected


def _question(processors: Processors, config: BlipConfig) -> IntArray | None:
    """The golden question, or statement, int64 ``[1, T]``."""
    if not any(spec.reads == "questions" for spec in specs_of(config.architecture)):
        return None
    tokens = processors.texts.question((FALLBACK_CAPTIONS if config.retrieves else QUESTIONS)[0])
    return np.array([[*tokens[: LONGEST - 1], tokens[-1]] if len(tokens) > LONGEST else tokens], np.int64)


def _run_float(graphs: Mapping[str, GraphSource], inputs: GoldenInputs, config: BlipConfig) -> Golden:
    """Each graph on what those before it made."""
    results: dict[str, Results] = {}
    for graph, compiler in _one_by_one(graphs, config, EXACT):
        inputs = _with_what_it_makes(graph, inputs, config, compiler)
        runner = Runner(Golden(inputs, {}, {}), config, compiler.request)
        for case, sizes in _cases_of(graph, config, inputs):
            results[case] = list(runner.run(case, sizes, compiler.request(graph, sizes), whole=True).values())
    return Golden(inputs, results, {})


def _one_by_one(
    graphs: Mapping[str, GraphSource], config: BlipConfig, options: EngineOptions
) -> Iterator[tuple[str, Compiler]]:
    """Every graph with a compiler of its own, in the order in which they run: together they would take gigabytes."""
    for graph in graph_names(config.architecture):
        yield graph, Compiler(graphs, config, options)
        gc.collect()


def _cases_of(graph: str, config: BlipConfig, inputs: GoldenInputs) -> list[tuple[str, Sizes]]:
    return [(case, sizes) for case, (name, sizes) in cases(config, inputs).items() if name == graph]


def _with_what_it_makes(graph: str, inputs: GoldenInputs, config: BlipConfig, compiler: Compiler) -> GoldenInputs:
    """The inputs with what later graphs need of this one."""
    spec, runner = GRAPHS[graph], Runner(Golden(inputs, {}, {}), config, compiler.request)
    for case, sizes in _cases_of(graph, config, inputs):
        request, source = compiler.request(graph, sizes), case.partition(".")[2]
        if spec.makes_image_embeds:
            inputs = replace(inputs, image_embeds=rounded_to_8_bits(runner.of_picture(request, 0)))
        elif spec.makes_question_states:
            inputs = replace(inputs, question_states=runner.of_question(spec, request, sizes))
        elif spec.makes_texts:
            runner.start_text(spec, source, sizes, request)
            text = _greedy(runner, request, config.text.bos_token_id)
            inputs = replace(inputs, texts={**inputs.texts, source: text})
    return inputs


def _greedy(runner: Runner, request: ov.InferRequest, start: int) -> IntArray:
    """The first tokens that the float model says, int64 ``[TEXT_TOKENS]``; it may go on behind the closing one."""
    text = [start]
    while len(text) < TEXT_TOKENS:
        logits = runner.logits(np.array(text[-1:], np.int64), len(text) - 1, request)
        text.append(int(logits.argmax()))
    return np.array(text, np.int64)


def golden_pictures(source: str | None, samples: Sequence[Sample]) -> list[Image.Image]:
    """Two pictures like those that calibration saw, as far as they are generated: nobody's photographs are kept.

    Args:
        source: the calibration's; None where there was none.
        samples: that it saw.
    """
    if source is not None and source.partition(":")[0] == "demo" and len(samples) > 1:
        return [load_image(sample.image()) for sample in samples[:2]]
    return [Image.fromarray(natural_picture(seed, NATURAL_SIZE, BRIGHT)) for seed in (0, 1)]
