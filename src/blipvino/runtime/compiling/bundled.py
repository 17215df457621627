"""What the runtime takes out of a bundle: its graphs and its self-test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache as once
from functools import partial

from blipvino.bundle.bundle import Bundle, graph_files
from blipvino.bundle.golden import GOLDEN_FILE
from blipvino.checkpoint.config import BlipConfig
from blipvino.errors import BundleError, InputError
from blipvino.graphs.specs import graph_names
from blipvino.machine.host import Choice, this_host
from blipvino.runtime.compiling.cache import LIMIT_VARIABLE, CompiledCache, cache_limit
from blipvino.runtime.compiling.compiler import Compiler
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.compiling.graph_sources import GraphFile
from blipvino.runtime.compiling.measured_choices import MeasuredChoice, in_order
from blipvino.runtime.compiling.selftest import SelfTest, Verdict, cases
from blipvino.runtime.reading import read_config


@dataclass(frozen=True)
class SelfTestReport:
    """The self-test of a bundle on this host.

    Attributes:
        choice: the arithmetic of its quantized graphs here.
        verdicts: of every graph, in the order in which they run.
    """

    choice: Choice
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every graph did."""
        return all(verdict.passed for verdict in self.verdicts)


def graph_files_of(bundle: Bundle, names: Sequence[str], check: bool) -> dict[str, GraphFile]:
    """The graphs by name.

    Args:
        bundle: that has them.
        names: of its architecture's graphs.
        check: verify the files of each against the manifest when it is read.
    """
    return {
        name: GraphFile(
            bundle.path(f"{name}.xml"),
            bundle.graph_digest(name),
            once(partial(bundle.verify, graph_files(name))) if check else None,  # once, however often it is compiled
        )
        for name in names
    }


def selftest_of(bundle: Bundle, config: BlipConfig) -> SelfTest | None:
    """The self-test; None of a bundle that was made before there were any."""
    if not bundle.has(GOLDEN_FILE):
        return None
    return SelfTest(bundle.path(GOLDEN_FILE), bundle.manifest.files[GOLDEN_FILE].sha256, config)


def run_selftest(bundle: Bundle, options: EngineOptions) -> SelfTestReport:
    """Compile every graph of a bundle as `Blip` without a cache would, fallbacks apart, and judge it on all samples.

    Raises:
        BundleError: the bundle has no golden samples.
    """
    config = read_config(bundle)
    selftest = _required_selftest(bundle, config)
    compiler = Compiler(graph_files_of(bundle, graph_names(config.architecture), check=False), config, options)
    verdicts = selftest.judge_whole(compiler.request, compiler.allowance)
    return SelfTestReport(compiler.choice, tuple(verdicts))


def tune_bundle(bundle: Bundle, options: EngineOptions) -> tuple[MeasuredChoice, ...]:
    """Compile a bundle's graphs in each way, measure, and keep the fastest, in place of what this host had of it.

    What was compiled before goes when all is measured: a tuning that is stopped changes nothing.

    Args:
        bundle: whose graphs are compiled, for one image and one question; others are when they are needed.
        options: with a cache.

    Returns:
        What was measured of the graphs that there is a choice for, in the order in which they run.

    Raises:
        BundleError: the bundle has no golden samples, which are what the graphs run on.
        InputError: the cache keeps nothing, or another process tunes in it.
        OutputError: what is in it cannot be written or removed.
    """
    config = read_config(bundle)
    selftest = _required_selftest(bundle, config)
    names = graph_names(config.architecture)
    cache = None if options.cache is None else CompiledCache(options.cache, cache_limit())
    if cache is None or not cache.keeps:
        raise InputError(f"there is nowhere to keep what is measured: give a cache, and no {LIMIT_VARIABLE} of 0")
    with cache.apart() as fresh:
        measuring = replace(options, cache=fresh)
        compiler = Compiler(graph_files_of(bundle, names, check=True), config, measuring, selftest)
        for name, sizes in cases(config, selftest.golden.inputs).values():
            compiler.request(name, sizes)
        cache.exchange({bundle.graph_digest(name) for name in names}, this_host().signature, fresh)
    return tuple(in_order(MeasuredChoice(name, sizes, tuning) for (name, sizes), tuning in compiler.tunings.items()))


def _required_selftest(bundle: Bundle, config: BlipConfig) -> SelfTest:
    selftest = selftest_of(bundle, config)
    if selftest is None:
        raise BundleError(
            f"{bundle.folder}: was made by blipvino {bundle.manifest.blipvino_version} without a self-test; "
            "run `blipvino optimize` again"
        )
    return selftest
