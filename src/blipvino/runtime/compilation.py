"""Compiling a bundle's graphs for this machine, each for the shapes that it is needed for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import openvino as ov
from openvino.preprocess import PrePostProcessor

from blipvino.runtime.cache import CompiledCache, GraphKey, cache_limit

Precision = Literal["auto", "f32", "bf16"]
Mode = Literal["latency", "throughput"]

ANY = -1
"""A dimension that stays open when a graph is compiled."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineOptions:
    """How the graphs are compiled.

    Attributes:
        precision: of the arithmetic that is not quantized; "auto" is bf16 where the CPU computes in it, else f32.
        cache: folder for compiled graphs, so that a later start skips compilation; None keeps none.
        threads: CPU threads; None uses every core.
        mode: "latency" gives an image all threads, "throughput" gives each of several images a thread of its own.
    """

    precision: Precision = "auto"
    cache: Path | None = None
    threads: int | None = None
    mode: Mode = "latency"

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
        return chosen


@dataclass(frozen=True)
class GraphFile:
    """A graph on disk.

    Attributes:
        path: of its ``.xml``, with the ``.bin`` beside it.
        digest: of its content, which a compiled graph in the cache must be of; without one nothing is cached.
        check: raises if the files are damaged; called before they are read.
    """

    path: Path
    digest: str | None = None
    check: Callable[[], None] | None = None


@dataclass(frozen=True)
class Sizes:
    """The dimensions that the graphs leave open: ``B`` sources, ``S`` positions, ``R`` text rows, ``T`` tokens."""

    sources: int = ANY
    positions: int = ANY
    rows: int = ANY
    tokens: int = ANY


OPEN_DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "pixels": ("sources",),
    "image_embeds": ("sources", "positions"),
    "source_states": ("sources", "positions"),
    "source_mask": ("sources", "positions"),
    "cross_key": ("sources", "positions"),
    "cross_value": ("sources", "positions"),
    "input_ids": ("rows", "tokens"),
    "position_ids": ("rows", "tokens"),
    "attention_mask": ("rows", "tokens"),
    "beam_idx": ("rows",),
}
"""What the open dimensions of each input are, in their order."""


class Compiler:
    """Compiles graphs of one bundle, and keeps what it compiled.

    With all shapes known, OpenVINO fuses quantization into its kernels and plans memory once: `vision` in 8 bits is
    twice as fast, and a decoding step saves a sixth.
    """

    def __init__(self, graphs: Mapping[str, GraphFile], source_width: int, options: EngineOptions) -> None:
        self.options = options
        self._source_width = source_width
        self._graphs = graphs
        self._core = ov.Core()
        self._core.set_property({"ENABLE_MMAP": True})
        self._cache = None if options.cache is None else CompiledCache(options.cache, cache_limit())
        self._memory: list[object] = []  # of graphs from the cache
        self._requests: dict[tuple[str, Sizes], ov.InferRequest] = {}

    def request(self, name: str, sizes: Sizes) -> ov.InferRequest:
        """The one request of a graph compiled for these sizes."""
        if (name, sizes) not in self._requests:
            self._requests[name, sizes] = self._compile(name, sizes).create_infer_request()
        return self._requests[name, sizes]

    def queue(self, name: str, sizes: Sizes) -> ov.AsyncInferQueue:
        """As many requests as run side by side: one in "latency" mode, one a thread in "throughput" mode."""
        if self.options.mode == "latency":
            return ov.AsyncInferQueue(self._compile(name, sizes), 1)
        streams = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": self._threads}
        return ov.AsyncInferQueue(self._compile(name, sizes, streams), self._threads)

    @cached_property
    def computes_in_bf16(self) -> bool:
        """Whether what is not quantized runs in bfloat16."""
        native = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return self.options.precision == "bf16" or (self.options.precision == "auto" and native)

    @property
    def _threads(self) -> int:
        return self.options.threads or int(self._core.get_property("CPU", "RANGE_FOR_STREAMS")[1])

    def _compile(self, name: str, sizes: Sizes, properties: Mapping[str, Any] | None = None) -> ov.CompiledModel:
        logger.debug("compiling %s for %s", name, sizes)
        chosen = self._properties(name) | dict(properties or {})
        key = self._cache_key(name, sizes, chosen)
        if self._cache is not None and key is not None:
            known = self._cache.load(self._core, key)
            if known is not None:
                self._memory.append(known.memory)
                return known.compiled
        graph = self._graphs[name]
        if graph.check is not None:
            graph.check()
        model = self._core.read_model(graph.path)
        model.reshape({port.get_any_name(): filled(port, sizes) for port in model.inputs})
        if self.computes_in_bf16:
            model = _with_bf16_cross_kv(model)
        compiled = self._core.compile_model(model, "CPU", chosen)
        if self._cache is not None and key is not None:
            self._cache.save(key, compiled)
        return compiled

    def _properties(self, name: str) -> dict[str, Any]:
        """OpenVINO's settings for a graph."""
        chosen = self.options.properties()
        if name == "answer_kv" and self.options.precision != "f32":
            # One scale for all of a position's activations: in long rows faster than OpenVINO's default, one for 32.
            chosen["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = str(self._source_width)
        return chosen

    def _cache_key(self, name: str, sizes: Sizes, properties: Mapping[str, Any]) -> GraphKey | None:
        """What this compiled graph is kept by: all that it depends on, so that nothing goes stale."""
        graph = self._graphs[name]
        if self._cache is None or graph.digest is None:
            return None
        details = {
            "sizes": asdict(sizes),
            "bf16": self.computes_in_bf16,
            "processor": self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            # Virtual machines give different processors one name.
            "capabilities": sorted(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "openvino": ov.get_version(),
        }
        return GraphKey(name, graph.digest, dict(properties), details, bundle=str(graph.path.parent.resolve()))


def filled(port: Any, sizes: Sizes) -> ov.PartialShape:
    """A port's shape with its open dimensions set to these sizes."""
    names = iter(OPEN_DIMENSIONS[port.get_any_name().split(".")[0]])
    values = asdict(sizes)
    return ov.PartialShape([values[next(names)] if dim.is_dynamic else dim for dim in port.get_partial_shape()])


def _with_bf16_cross_kv(model: ov.Model) -> ov.Model:
    """Let keys and values cross from graph to graph in bfloat16, the type that they are read in: half the memory."""
    editor = PrePostProcessor(model)
    for ports, edit in ((model.inputs, editor.input), (model.outputs, editor.output)):
        for port in ports:
            if port.get_any_name().startswith("cross_") and port.get_element_type() == ov.Type.f32:
                edit(port.get_any_name()).tensor().set_element_type(ov.Type.bf16)
    return editor.build()
