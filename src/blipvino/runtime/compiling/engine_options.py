"""How a bundle's graphs are compiled: what a caller chooses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from blipvino import checks
from blipvino.errors import InputError
from blipvino.machine.devices import CPU, device_name
from blipvino.machine.host import ArithmeticOption
from blipvino.runtime.compiling.selftest import SelfTestMode

Precision = Literal["auto", "f32", "bf16"]
Mode = Literal["latency", "throughput"]
Layers = Literal["matmul", "convolution"]
LayersOption = Literal["auto", "matmul", "convolution"]

MAX_THREADS = 1024


@dataclass(frozen=True)
class EngineOptions:
    """How the graphs are compiled.

    Attributes:
        precision: of the arithmetic that is not quantized; "auto" is bf16 where the CPU computes in it, else f32.
        cache: folder for compiled graphs, so that a later start skips compilation; None keeps none. A path as text
            becomes a `Path`.
        threads: CPU threads, from 1 to `MAX_THREADS`; None uses every core.
        mode: "latency" gives an image all threads, "throughput" gives each of several images a thread of its own.
        arithmetic: of quantized graphs: "int8" on 8-bit kernels; "int7" on these with activations in 7 bits, which is
            exact without VNNI too; "float" with 8-bit weights; "simulated" and "simulated-int7" round as exact kernels
            do, slowly, anywhere. "auto" is "int8" where 8-bit kernels are exact (VNNI, AMX), else "int7", or "float"
            where that was measured to be faster.
        layers: how 8-bit linear layers are computed: as a "matmul", or as a "convolution" of one pixel, which is the
            same by other kernels; "auto" is what was measured to be faster for each graph, when it was compiled for
            the first time. Without a cache nothing is measured: it is "convolution" for "int7", else "matmul".
        selftest: what a graph that falls short of its self-test means when it is compiled for the first time:
            "warn" says so and computes it in float, "strict" raises; "off" does not test.
        device: what computes: any name that OpenVINO has, such as "GPU", "NPU", "AUTO" or "HETERO:GPU,CPU"; see
            `blipvino.machine.devices`. Threads, layers and every arithmetic but "int8" and "float" are the CPU's own.
        pinning: whether each thread stays on a core of its own: faster on a machine that does nothing else, much slower
            beside a neighbour that keeps one of the cores busy, for which all others then wait. None leaves it to
            OpenVINO, which pins.
    """

    precision: Precision = "auto"
    cache: Path | None = None
    threads: int | None = None
    mode: Mode = "latency"
    arithmetic: ArithmeticOption = "auto"
    layers: LayersOption = "auto"
    selftest: SelfTestMode = "warn"
    device: str = CPU
    pinning: bool | None = None

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            InputError: an option is of another type or out of its range.
        """
        checks.choice("precision", self.precision, get_args(Precision))
        checks.choice("mode", self.mode, get_args(Mode))
        checks.choice("arithmetic", self.arithmetic, get_args(ArithmeticOption))
        checks.choice("layers", self.layers, get_args(LayersOption))
        checks.choice("selftest", self.selftest, get_args(SelfTestMode))
        if self.threads is not None:
            object.__setattr__(self, "threads", checks.integer("threads", self.threads, 1, MAX_THREADS))
        if self.pinning is not None:
            object.__setattr__(self, "pinning", checks.flag("pinning", self.pinning))
        if self.cache is not None:
            object.__setattr__(self, "cache", checks.folder_path("cache", self.cache))
        object.__setattr__(self, "device", device_name(self.device))

    def check_elsewhere(self) -> None:
        """Check that nothing is asked for that the CPU alone has.

        Raises:
            InputError: something is.
        """
        own = {
            "threads": self.threads is not None,
            "pinning": self.pinning is not None,
            "layers": self.layers != "auto",
            "arithmetic": self.arithmetic not in ("auto", "int8", "float"),
        }
        for name, asked in own.items():
            if asked:
                value = checks.shown(getattr(self, name))
                raise InputError(f"{name} {value} has no effect on {self.device}, only on {CPU}; leave it out")

    def properties(self) -> dict[str, Any]:
        """OpenVINO's names for these options."""
        # Texts are a few tokens long: an 8-bit K/V cache, the default, would save nothing and cost accuracy.
        chosen: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "KV_CACHE_PRECISION": "f32"}
        if self.precision != "auto":
            chosen["INFERENCE_PRECISION_HINT"] = self.precision
        if self.threads is not None:
            chosen["INFERENCE_NUM_THREADS"] = self.threads
        if self.pinning is not None:
            chosen["ENABLE_CPU_PINNING"] = self.pinning
        return chosen
