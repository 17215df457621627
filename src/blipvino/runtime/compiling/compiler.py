"""Compiling a bundle's graphs for this machine, each for the shapes that it is needed for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import openvino as ov
from openvino.preprocess import PrePostProcessor

from blipvino import checks
from blipvino.checkpoint.config import BlipConfig
from blipvino.errors import BundleError, InputError
from blipvino.graphs.arithmetic import in_float, multiplies_many_rows, unpack_weights
from blipvino.graphs.handover import take_back_handover
from blipvino.graphs.specs import GRAPHS
from blipvino.machine.core import openvino_core
from blipvino.machine.host import Arithmetic, ArithmeticOption, choose_arithmetic, this_host
from blipvino.machine.number_formats import listed_formats, number_formats, settings_under_limit
from blipvino.runtime.compiling.cache import CompiledCache, GraphKey, cache_limit
from blipvino.runtime.compiling.selftest import COARSE, EXACT, ROUNDED, SelfTest, SelfTestMode, Verdict
from blipvino.runtime.compiling.sizes import Sizes, reshaped
from blipvino.runtime.reading import read_graph

Precision = Literal["auto", "f32", "bf16"]
Mode = Literal["latency", "throughput"]

MAX_THREADS = 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineOptions:
    """How the graphs are compiled.

    Attributes:
        precision: of the arithmetic that is not quantized; "auto" is bf16 where the CPU computes in it, else f32.
        cache: folder for compiled graphs, so that a later start skips compilation; None keeps none. A path as text
            becomes a `Path`.
        threads: CPU threads, from 1 to `MAX_THREADS`; None uses every core.
        mode: "latency" gives an image all threads, "throughput" gives each of several images a thread of its own.
        arithmetic: of quantized graphs: "int8" on 8-bit kernels; "float" with 8-bit weights; "auto" is "int8" where
            8-bit kernels are exact (VNNI, AMX), else "float"; "simulated" rounds as exact kernels do, slowly, anywhere.
        selftest: what a graph that falls short of its self-test means when it is compiled for the first time:
            "warn" says so and computes it in float, "strict" raises; "off" does not test.
    """

    precision: Precision = "auto"
    cache: Path | None = None
    threads: int | None = None
    mode: Mode = "latency"
    arithmetic: ArithmeticOption = "auto"
    selftest: SelfTestMode = "warn"

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            InputError: an option is of another type or out of its range.
        """
        checks.choice("precision", self.precision, get_args(Precision))
        checks.choice("mode", self.mode, get_args(Mode))
        checks.choice("arithmetic", self.arithmetic, get_args(ArithmeticOption))
        checks.choice("selftest", self.selftest, get_args(SelfTestMode))
        if self.threads is not None:
            object.__setattr__(self, "threads", checks.integer("threads", self.threads, 1, MAX_THREADS))
        if self.cache is not None:
            object.__setattr__(self, "cache", checks.folder_path("cache", self.cache))

    def properties(self) -> dict[str, Any]:
        """OpenVINO's names for these options."""
        # Texts are a few tokens long: an 8-bit K/V cache, the default, would save nothing and cost accuracy.
        chosen: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "KV_CACHE_PRECISION": "f32"}
        if self.precision != "auto":
            chosen["INFERENCE_PRECISION_HINT"] = self.precision
        if self.threads is not None:
            chosen["INFERENCE_NUM_THREADS"] = self.threads
        return chosen


class GraphSource(Protocol):
    """Where a graph comes from."""

    @property
    def digest(self) -> str | None:
        """Of its content, which a compiled graph in the cache must be of; without one nothing is cached."""
        ...

    @property
    def place(self) -> str:
        """Where it is, for people."""
        ...

    def read(self, core: ov.Core) -> ov.Model:
        """The graph, for the caller to change."""
        ...


@dataclass(frozen=True)
class GraphFile:
    """A graph on disk.

    Attributes:
        path: of its ``.xml``, with the ``.bin`` beside it.
        digest: see `GraphSource`.
        check: raises if the files are damaged; called before they are read.
    """

    path: Path
    digest: str | None = None
    check: Callable[[], None] | None = None

    @property
    def place(self) -> str:
        """The bundle's folder."""
        return str(self.path.parent.resolve())

    def read(self, core: ov.Core) -> ov.Model:
        """Check and read it."""
        if self.check is not None:
            self.check()
        return read_graph(core, self.path.stem, self.path)


@dataclass(frozen=True)
class Way:
    """One way to compute a graph.

    Attributes:
        arithmetic: of what is quantized.
        options: the engine's, with the precision of what is not.
    """

    arithmetic: Arithmetic
    options: EngineOptions

    def properties(self, name: str, source_width: int) -> dict[str, Any]:
        """OpenVINO's settings for a graph."""
        chosen = self.options.properties()
        if self.options.precision == "f32" or self.arithmetic != "int8":
            chosen["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"  # weights may be 8-bit, activations stay exact
        elif GRAPHS[name].long_rows:
            # One scale for all of a position's activations: in long rows faster than OpenVINO's default, one for 32.
            chosen["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = str(source_width)
        if self.arithmetic == "simulated":
            chosen["LP_TRANSFORMS_MODE"] = "NO"  # no 8-bit kernels
        return chosen


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
        self._host = this_host()
        self.choice = choose_arithmetic(options.arithmetic, self._host)
        self._source_width = config.text.hidden_size
        self._graphs = graphs
        self._selftest = None if options.selftest == "off" else selftest
        self._core = openvino_core()
        self._cache = None if options.cache is None else CompiledCache(options.cache, cache_limit())
        self._memory: list[object] = []  # of graphs from the cache
        self._quantized: set[str] = set()  # graphs whose activations are
        self._requests: dict[tuple[str, Sizes], ov.InferRequest] = {}

    def request(self, name: str, sizes: Sizes) -> ov.InferRequest:
        """The one request of a graph compiled for these sizes.

        Raises:
            InputError: the model has no such graph.
        """
        if name not in self._graphs:
            raise InputError(f"this model has no graph {name}, which this needs, only {', '.join(self._graphs)}")
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
        native = "BF16" in number_formats(self._core, self._host)
        return self.options.precision == "bf16" or (self.options.precision == "auto" and native)

    @cached_property
    def _limited(self) -> dict[str, str]:
        """What is set by force, since ``ONEDNN_MAX_CPU_ISA`` forbids it; a precision that was asked for stays."""
        settings = settings_under_limit(self._core, self._host)
        asked = () if self.options.precision == "auto" else ("INFERENCE_PRECISION_HINT",)
        return {name: value for name, value in settings.items() if name not in asked}

    def allowance(self, name: str) -> float:
        """The noise-to-signal ratio that the arithmetic of a graph that was compiled here may add by itself."""
        return self._allowance(name, next(self._ways()))

    @property
    def _threads(self) -> int:
        return self.options.threads or int(self._core.get_property("CPU", "RANGE_FOR_STREAMS")[1])

    def _compile(self, name: str, sizes: Sizes, properties: Mapping[str, Any] | None = None) -> ov.CompiledModel:
        logger.debug("compiling %s for %s", name, sizes)
        further = dict(properties or {})
        for way in self._ways():
            known = self._known(name, sizes, way, further)
            if known is not None:
                return known
        fallen: Verdict | None = None
        for way in self._ways():
            compiled = self._compiled(name, self._model(name, sizes, way), self._properties(name, way, further))
            verdict = self._judged(name, sizes, compiled, way)
            if verdict is None or verdict.passed:
                break
            self._fell_short(verdict, way)
            fallen = fallen or verdict
        key = self._cache_key(name, sizes, way, further)
        if self._cache is not None and key is not None:
            notes = {"selftest": verdict, "fell_short": fallen}
            self._cache.save(key, compiled, {what: each.to_json() for what, each in notes.items() if each})
        return compiled

    def _known(self, name: str, sizes: Sizes, way: Way, further: Mapping[str, Any]) -> ov.CompiledModel | None:
        """The graph as it was compiled before, with the same verdict."""
        key = self._cache_key(name, sizes, way, further)
        found = None if self._cache is None or key is None else self._cache.load(self._core, key)
        if found is None:
            return None
        if "fell_short" in found.notes:
            self._fell_short(Verdict.from_json(found.notes["fell_short"]), next(self._ways()))
        self._memory.append(found.memory)
        return found.compiled

    def _compiled(self, name: str, model: ov.Model, properties: Mapping[str, Any]) -> ov.CompiledModel:
        """Compile a graph.

        Raises:
            BundleError: OpenVINO cannot, on this CPU or what ``ONEDNN_MAX_CPU_ISA`` leaves of it.
        """
        try:
            return self._core.compile_model(model, "CPU", dict(properties))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            limited = f", limited to {self._host.limit}" if self._host.limit else ""
            raise BundleError(
                f"{name}: OpenVINO cannot compile it for {self._host.cpu}{limited} ({reason}); AVX2 is the least"
            ) from error

    def _properties(self, name: str, way: Way, further: Mapping[str, Any]) -> dict[str, Any]:
        """OpenVINO's settings for a graph: those of its way, what the CPU's limit forbids, and further ones."""
        return way.properties(name, self._source_width) | self._limited | dict(further)

    def _ways(self) -> Iterator[Way]:
        """Ways to compute a graph: the chosen one, and what is fallen back to."""
        yield Way(self.choice.arithmetic, self.options)
        if self.choice.arithmetic != "float":
            yield Way("float", self.options)
        if self.computes_in_bf16:
            yield Way("float", replace(self.options, precision="f32"))

    def _model(self, name: str, sizes: Sizes, way: Way) -> ov.Model:
        """The graph, changed for this way to compute it."""
        model = self._graphs[name].read(self._core)
        if any(node.get_type_name() == "FakeQuantize" for node in model.get_ops()):
            self._quantized.add(name)
        if self.choice.arithmetic == "float":
            take_back_handover(model)
        if way.arithmetic == "float":
            in_float(model)
        reshaped(model, name, sizes)
        if way.arithmetic == "float" and multiplies_many_rows(model):
            unpack_weights(model)
        return _with_bf16_cross_kv(model) if self.computes_in_bf16 else model

    def _allowance(self, name: str, way: Way) -> float:
        if self.computes_in_bf16:
            return COARSE
        if way.options.precision != "f32":
            # Where only weights are quantized, 8-bit kernels round activations as they come, in groups.
            dynamic = self._limited.get("DYNAMIC_QUANTIZATION_GROUP_SIZE") != "0"
            rounds_as_they_come = dynamic and way.arithmetic == "int8" and name not in self._quantized
            if rounds_as_they_come:
                return COARSE
        return ROUNDED if way.arithmetic == "int8" else EXACT

    def _judged(self, name: str, sizes: Sizes, compiled: ov.CompiledModel, way: Way) -> Verdict | None:
        if self._selftest is None:
            return None
        request = compiled.create_infer_request()
        return self._selftest.judge(name, sizes, request, self.request, self._allowance(name, way))

    def _fell_short(self, verdict: Verdict, way: Way) -> None:
        """Say what a graph's self-test found.

        Raises:
            BundleError: nothing is left to fall back to, or the options are strict.
        """
        what = f"{verdict.graph} in {way.arithmetic} arithmetic falls short of its self-test: {verdict.shortfall}"
        if way == list(self._ways())[-1]:
            raise BundleError(f"{what}; the bundle is damaged: run `blipvino optimize` again, or copy it again")
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
            "arithmetic": way.arithmetic,
            "instead_of": self.choice.arithmetic,
            "selftest": None if self._selftest is None else self._selftest.digest,
            "bf16": self.computes_in_bf16,
            "host": self._host.signature,
            # Virtual machines give different processors one name.
            "capabilities": sorted(listed_formats(self._core)),
            "openvino": ov.get_version(),
        }
        return GraphKey(name, graph.digest, self._properties(name, way, further), details, bundle=graph.place)


def _with_bf16_cross_kv(model: ov.Model) -> ov.Model:
    """Let keys and values cross from graph to graph in bfloat16, the type that they are read in: half the memory."""
    editor = PrePostProcessor(model)
    for ports, edit in ((model.inputs, editor.input), (model.outputs, editor.output)):
        for port in ports:
            if port.get_any_name().startswith("cross_") and port.get_element_type() == ov.Type.f32:
                edit(port.get_any_name()).tensor().set_element_type(ov.Type.bf16)
    return editor.build()
