"""Compiling a bundle's graphs for this machine, each for the shapes that it is needed for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import openvino as ov
from openvino.preprocess import PrePostProcessor

from blipvino.checkpoint.config import BlipConfig
from blipvino.errors import BundleError, InputError
from blipvino.graphs.arithmetic import has_quantized_layers
from blipvino.machine.core import openvino_core
from blipvino.machine.devices import CPU, described, find_device, keeps_compiled, uses_cpu
from blipvino.machine.host import arithmetic_elsewhere, choose_arithmetic, this_host
from blipvino.machine.number_formats import listed_formats, number_formats, settings_under_limit
from blipvino.runtime.compiling.cache import CompiledCache, GraphKey, cache_limit
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.compiling.golden_runs import Runner
from blipvino.runtime.compiling.graph_sources import GraphSource
from blipvino.runtime.compiling.selftest import COARSE, EXACT, ROUNDED, Allowance, SelfTest, Verdict
from blipvino.runtime.compiling.sizes import ANY, Sizes
from blipvino.runtime.compiling.tuning import Tuning, measure
from blipvino.runtime.compiling.ways import KERNELS, NARROW, SURGERY, Way, Ways, ways_elsewhere, ways_of

_OF_ANY_DEVICE = ("PERFORMANCE_HINT", "INFERENCE_PRECISION_HINT")
"""Settings that every device understands."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """A graph that was just compiled in one way.

    Attributes:
        way: how it computes.
        compiled: the graph.
        verdict: of its self-test; None without one.
        request: that the self-test ran, with the inputs that it holds; None without one.
        runner: keeps the memory of these inputs.
    """

    way: Way
    compiled: ov.CompiledModel
    verdict: Verdict | None = None
    request: ov.InferRequest | None = None
    runner: Runner | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return self.verdict is None or self.verdict.passed

    @property
    def shortfall(self) -> str:
        """What is wrong, for people; empty without a verdict."""
        return "" if self.verdict is None else _shortfall(self.verdict, self.way)


class Compiler:
    """Compiles graphs of one bundle, and keeps what it compiled.

    With all shapes known, OpenVINO fuses quantization into its kernels and plans memory once: `vision` in 8 bits is
    twice as fast, and a decoding step saves a sixth.

    Args:
        graphs: by name.
        config: of the model.
        options: how they are compiled.
        selftest: what a graph must pass when it is compiled for the first time here; None tests nothing.
    """

    def __init__(
        self,
        graphs: Mapping[str, GraphSource],
        config: BlipConfig,
        options: EngineOptions,
        selftest: SelfTest | None = None,
    ) -> None:
        self.options = options
        self._host, self._core = this_host(), openvino_core()
        self._device = find_device(options.device, self._core)
        if self._on_cpu:
            self.choice = choose_arithmetic(options.arithmetic, self._host)
        else:
            options.check_elsewhere()
            self.choice = arithmetic_elsewhere(options.arithmetic, self._device)
        self._source_width = config.text.hidden_size
        self._graphs = graphs
        self._selftest = None if options.selftest == "off" else selftest
        keeps = options.cache is not None and keeps_compiled(self._device, self._core)
        self._cache = CompiledCache(options.cache, cache_limit()) if options.cache is not None and keeps else None
        self._memory: list[object] = []  # of graphs from the cache
        self._lock = threading.RLock()
        self._quantized: dict[str, bool] = {}  # whether a graph's activations are
        self.tunings: dict[tuple[str, Sizes], Tuning] = {}  # what was measured of graphs that are loaded
        self._loaded: dict[tuple[str, Sizes], ov.CompiledModel] = {}
        self._requests: dict[tuple[str, Sizes], ov.InferRequest] = {}

    def request(self, name: str, sizes: Sizes) -> ov.InferRequest:
        """The one request of a graph compiled for these sizes.

        Raises:
            InputError: the model has no such graph.
        """
        if (name, sizes) not in self._requests:
            self._requests[name, sizes] = self.new_request(name, sizes)
        return self._requests[name, sizes]

    def new_request(self, name: str, sizes: Sizes) -> ov.InferRequest:
        """A further request of a graph, with a state of its own.

        Raises:
            InputError: the model has no such graph.
        """
        if name not in self._graphs:
            raise InputError(f"this model has no graph {name}, which this needs, only {', '.join(self._graphs)}")
        with self._lock:
            if (name, sizes) not in self._loaded:
                self._loaded[name, sizes] = self._compile(name, sizes)
            return self._loaded[name, sizes].create_infer_request()

    def queue(self, name: str, sizes: Sizes) -> ov.AsyncInferQueue:
        """As many requests as run side by side: one in "latency" mode, one a thread in "throughput" mode."""
        if self.options.mode == "latency":
            return ov.AsyncInferQueue(self._compile(name, sizes), 1)
        if not self._on_cpu:  # as many as it runs best
            return ov.AsyncInferQueue(self._compile(name, sizes, {"PERFORMANCE_HINT": "THROUGHPUT"}))
        streams = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": self._threads}
        return ov.AsyncInferQueue(self._compile(name, sizes, streams), self._threads)

    @property
    def side_by_side(self) -> int:
        """Requests of a `queue` that run at the same time; on another device it is the device that knows."""
        return self._threads if self.options.mode == "throughput" and self._on_cpu else 1

    @property
    def _on_cpu(self) -> bool:
        """Whether the CPU alone computes, of whose kernels and arithmetic something is known."""
        return self._device == CPU

    @cached_property
    def computes_in_bf16(self) -> bool:
        """Whether what is not quantized runs in bfloat16, on the CPU."""
        if not self._on_cpu:
            return False
        native = "BF16" in number_formats(self._core, self._host)
        return self.options.precision == "bf16" or (self.options.precision == "auto" and native)

    @cached_property
    def _limited(self) -> dict[str, str]:
        """What is set by force, since ``ONEDNN_MAX_CPU_ISA`` forbids it; a precision that was asked for stays."""
        settings = settings_under_limit(self._core, self._host)
        asked = () if self.options.precision == "auto" else ("INFERENCE_PRECISION_HINT",)
        return {name: value for name, value in settings.items() if name not in asked}

    def allowance(self, name: str) -> Allowance:
        """What the arithmetic of a graph that was compiled here may add to what is expected of it."""
        return self._allowance(name, self._ways(name).candidates[0])

    @property
    def _threads(self) -> int:
        return self.options.threads or int(self._core.get_property("CPU", "RANGE_FOR_STREAMS")[1])

    def _compile(self, name: str, sizes: Sizes, properties: Mapping[str, Any] | None = None) -> ov.CompiledModel:
        """The graph as it was compiled before, else in the fastest way that passes its self-test."""
        with self._lock:  # what is measured is not disturbed, and no graph is compiled twice
            logger.debug("compiling %s for %s", name, sizes)
            further = dict(properties or {})
            return self._known(name, sizes, further) or self._compiled_anew(name, sizes, further)

    def _compiled_anew(self, name: str, sizes: Sizes, further: Mapping[str, Any]) -> ov.CompiledModel:
        ways = self._ways(name)
        tried = [self._attempt(name, sizes, way, further) for way in self._worth_trying(name, sizes, ways)]
        if not any(each.passed for each in tried):
            tried += [self._attempt(name, sizes, way, further) for way in _untried(ways.candidates, tried)]
        passed = [each for each in tried if each.passed]
        best = self._fastest(name, sizes, passed) if passed else self._fallen_back(name, sizes, tried, further)
        self._keep(best, name, sizes, further, None if passed else tried[0].verdict)
        return best.compiled

    def _known(self, name: str, sizes: Sizes, further: Mapping[str, Any]) -> ov.CompiledModel | None:
        """The graph as it was compiled before, with the same verdict. The graph itself is not read."""
        if self._cache is None:
            return None
        for way in self._all_ways:
            key = self._cache_key(name, sizes, way, further)
            found = None if key is None else self._cache.load(self._core, key)
            if found is None:
                continue
            if "fell_short" in found.notes:
                self._tell(_shortfall(Verdict.from_json(found.notes["fell_short"]), self._all_ways[0]))
            if "tuning" in found.notes:
                self.tunings[name, sizes] = Tuning.from_json(found.notes["tuning"])
            self._memory.append(found.memory)
            return found.compiled
        return None

    def _worth_trying(self, name: str, sizes: Sizes, ways: Ways) -> Sequence[Way]:
        """All candidates where they are to be measured and that can be kept, else the first one.

        What was measured of a graph with other lengths of text, of which the same are open, holds for these too.
        """
        if self._cache is None or not self._cache.keeps or self._selftest is None:
            return ways.candidates[:1]
        for (graph, others), tuning in self.tunings.items():
            alike = _open(others) == _open(sizes) and others.positions == sizes.positions
            if graph == name and alike and others != sizes:
                return [way for way in ways.candidates if way.label == tuning.chosen] or ways.candidates[:1]
        return ways.candidates

    def _attempt(self, name: str, sizes: Sizes, way: Way, further: Mapping[str, Any]) -> Attempt:
        compiled = self._compiled(name, self._model(name, sizes, way), self._properties(name, way, further))
        if self._selftest is None:
            return Attempt(way, compiled)
        request, runner = compiled.create_infer_request(), self._selftest.runner(self.request)
        verdict = self._selftest.judge(name, sizes, request, runner, self._allowance(name, way))
        return Attempt(way, compiled, verdict, request, runner)

    def _fastest(self, name: str, sizes: Sizes, passed: Sequence[Attempt]) -> Attempt:
        """By the clock, where there are several."""
        requests = [each.request for each in passed if each.request is not None]
        if len(passed) == 1 or len(requests) < len(passed):
            return passed[0]
        tuning = measure([each.way.label for each in passed], requests)
        logger.debug("%s for %s: %s", name, sizes, tuning)
        self.tunings[name, sizes] = tuning
        return next(each for each in passed if each.way.label == tuning.chosen)

    def _fallen_back(self, name: str, sizes: Sizes, tried: Sequence[Attempt], further: Mapping[str, Any]) -> Attempt:
        """The first way of another arithmetic that passes.

        Raises:
            BundleError: none does, or the options are strict.
        """
        attempt, left = tried[0], _untried(self._ways(name).all, tried)
        if left:
            self._tell(attempt.shortfall)
        for way in left:
            attempt = self._attempt(name, sizes, way, further)
            if attempt.passed:
                return attempt
        raise BundleError(
            f"{attempt.shortfall}; the bundle is damaged: run `blipvino optimize` again, or copy it again"
        )

    def _keep(self, best: Attempt, name: str, sizes: Sizes, further: Mapping[str, Any], fallen: Verdict | None) -> None:
        """Save a graph with its verdicts."""
        key = self._cache_key(name, sizes, best.way, further)
        if self._cache is not None and key is not None:
            notes = {"selftest": best.verdict, "fell_short": fallen, "tuning": self.tunings.get((name, sizes))}
            self._cache.save(key, best.compiled, {what: each.to_json() for what, each in notes.items() if each})

    def _compiled(self, name: str, model: ov.Model, properties: Mapping[str, Any]) -> ov.CompiledModel:
        """Compile a graph.

        Raises:
            BundleError: OpenVINO cannot, on this CPU or what ``ONEDNN_MAX_CPU_ISA`` leaves of it.
        """
        try:
            return self._core.compile_model(model, self._device, dict(properties))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            if not self._on_cpu:
                raise BundleError(f"{name}: OpenVINO cannot compile it for {self._device} ({reason})") from error
            raise BundleError(
                f"{name}: OpenVINO cannot compile it for {self._host.label} ({reason}); AVX2 is the least"
            ) from error

    def _properties(self, name: str, way: Way, further: Mapping[str, Any]) -> dict[str, Any]:
        """OpenVINO's settings for a graph: those of its way, what the CPU's limit forbids, and further ones."""
        chosen = way.properties(name, self._source_width)
        if not self._on_cpu:
            chosen = {what: value for what, value in chosen.items() if what in _OF_ANY_DEVICE}
        return chosen | (self._limited if uses_cpu(self._device) else {}) | dict(further)

    def _ways(self, name: str) -> Ways:
        """Ways to compute a graph. It is read to see whether there is anything to choose."""
        if not self._on_cpu:
            return ways_elsewhere(self.options)
        rounded = self.choice.arithmetic in (*KERNELS, *NARROW) and self._is_quantized(name)
        if rounded and self.choice.arithmetic == "int7" and not self.choice.asked and self._selftest is not None:
            rounded = self._selftest.bears_7_bits(name)
        return ways_of(self.options, self.choice, rounded, self.computes_in_bf16)

    @cached_property
    def _all_ways(self) -> tuple[Way, ...]:
        """Ways to compute some graph."""
        if not self._on_cpu:
            return ways_elsewhere(self.options).all
        both = (ways_of(self.options, self.choice, quantized, self.computes_in_bf16) for quantized in (True, False))
        return tuple(dict.fromkeys(way for ways in both for way in ways.all))

    def _is_quantized(self, name: str) -> bool:
        """Whether linear layers of a graph read quantized activations."""
        if name not in self._quantized:
            model = self._graphs[name].read(self._core)
            self._quantized[name] = has_quantized_layers(model)
        return self._quantized[name]

    def _model(self, name: str, sizes: Sizes, way: Way) -> ov.Model:
        """The graph, changed for this way to compute it."""
        model = self._graphs[name].read(self._core)
        way.prepare(model, name, sizes, self.choice.arithmetic)
        return _with_bf16_cross_kv(model) if self.computes_in_bf16 else model

    def _allowance(self, name: str, way: Way) -> Allowance:
        return Allowance(self._own_noise(name, way), in_7_bits=self.choice.arithmetic in NARROW)

    def _own_noise(self, name: str, way: Way) -> float:
        if self.computes_in_bf16 or not self._on_cpu:
            return COARSE
        dynamic = self._properties(name, way, {}).get("DYNAMIC_QUANTIZATION_GROUP_SIZE") != "0"
        if dynamic and not self._is_quantized(name):
            return COARSE  # where only weights are quantized, 8-bit kernels round activations as they come, in groups
        return ROUNDED if way.arithmetic in KERNELS else EXACT

    def _tell(self, what: str) -> None:
        """Say that a graph falls short, and is computed in another way.

        Raises:
            BundleError: the options are strict.
        """
        if self.options.selftest == "strict":
            raise BundleError(
                f"{what}; `blipvino selftest` tells more, `--arithmetic float` (arithmetic='float') does without 8-bit "
                "kernels"
            )
        logger.warning("%s; it is computed in float instead, as with --arithmetic float", what)

    def _cache_key(self, name: str, sizes: Sizes, way: Way, further: Mapping[str, Any]) -> GraphKey | None:
        """What this compiled graph is kept by: all that it depends on, so that nothing goes stale."""
        graph = self._graphs[name]
        if self._cache is None or graph.digest is None:
            return None
        details = {
            "sizes": asdict(sizes),
            "surgery": SURGERY,
            "arithmetic": way.arithmetic,
            "layers": way.layers,
            "of": [self.choice.arithmetic, self.choice.asked, self.options.layers],
            "selftest": None if self._selftest is None else self._selftest.digest,
            "bf16": self.computes_in_bf16,
            "host": self._host.signature,
            # Virtual machines give different processors one name.
            "capabilities": sorted(listed_formats(self._core)),
            "openvino": ov.get_version(),
        }
        if not self._on_cpu:
            details["device"] = described(self._device, self._core)
        properties = self._properties(name, way, further)
        return GraphKey(name, graph.digest, properties, details, bundle=graph.place, device=self._device)


def _open(sizes: Sizes) -> list[str]:
    """Which dimensions stay open."""
    return [name for name, value in asdict(sizes).items() if value == ANY]


def _untried(ways: Sequence[Way], tried: Sequence[Attempt]) -> list[Way]:
    """Those of which there is no attempt yet."""
    return [way for way in ways if way not in [each.way for each in tried]]


def _shortfall(verdict: Verdict, way: Way) -> str:
    return f"{verdict.graph} in {way.arithmetic} arithmetic falls short of its self-test: {verdict.shortfall}"


def _with_bf16_cross_kv(model: ov.Model) -> ov.Model:
    """Let keys and values cross from graph to graph in bfloat16, the type that they are read in: half the memory."""
    editor = PrePostProcessor(model)
    for ports, edit in ((model.inputs, editor.input), (model.outputs, editor.output)):
        for port in ports:
            if port.get_any_name().startswith("cross_") and port.get_element_type() == ov.Type.f32:
                edit(port.get_any_name()).tensor().set_element_type(ov.Type.bf16)
    return editor.build()
