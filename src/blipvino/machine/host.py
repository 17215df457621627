"""What this machine's CPU can do with 8-bit numbers, and the arithmetic that quantized graphs get because of it.

x86 CPUs before VNNI multiply 8-bit numbers with ``vpmaddubsw``, which adds two products in 16 bits: 255 × 127 twice is
64,770, and what is above 32,767 is cut off. OpenVINO uses it all the same, and lists INT8 among its capabilities there.
Of activations in 7 bits, 127 × 128 twice is 32,512, and nothing is cut off.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from archspec.cpu import brand_string
from archspec.cpu.detect import detected_info

from blipvino.errors import InputError

Arithmetic = Literal["int8", "int7", "float", "simulated", "simulated-int7"]
ArithmeticOption = Literal["auto", "int8", "int7", "float", "simulated", "simulated-int7"]

VARIABLE = "BLIPVINO_ARITHMETIC"
"""The environment variable that stands in for "auto"."""
EXACT_FEATURES = ("amx_int8", "avx512_vnni", "avx_vnni")
"""By CPUID, as Linux names them: instructions that add products of 8-bit numbers in 32 bits."""
BF16_FEATURES = ("amx_bf16", "avx512_bf16")
"""Likewise: instructions that multiply bfloat16."""
_LIMITED_TO: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX512_CORE"), ()),
    **dict.fromkeys(("AVX2_VNNI", "AVX2_VNNI_2"), ("avx_vnni",)),
    "AVX512_CORE_VNNI": ("avx_vnni", "avx512_vnni"),
    **dict.fromkeys(("AVX512_CORE_BF16", "AVX512_CORE_FP16"), ("avx_vnni", "avx512_vnni", "avx512_bf16")),
}
"""Which of them are left by each value of ``ONEDNN_MAX_CPU_ISA``; every other value leaves all."""
_ISA_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")


@dataclass(frozen=True)
class Host:
    """A CPU, as far as arithmetic goes.

    Attributes:
        cpu: its name.
        exact: those of `EXACT_FEATURES` that OpenVINO's kernels may use here.
        masked: those that the CPU has and ``ONEDNN_MAX_CPU_ISA`` forbids.
        x86: whether the paragraph above is about it at all.
        bf16: those of `BF16_FEATURES` that OpenVINO's kernels may use here.
        limit: the environment variable that limits instructions, ``NAME=VALUE``; empty where none does.
    """

    cpu: str
    exact: tuple[str, ...]
    masked: tuple[str, ...] = ()
    x86: bool = True
    bf16: tuple[str, ...] = ()
    limit: str = ""

    @property
    def label(self) -> str:
        """Its name, and what limits its instructions where something does."""
        return f"{self.cpu}, limited to {self.limit}" if self.limit else self.cpu

    @property
    def saturates(self) -> bool:
        """Whether its 8-bit kernels cut off what leaves 16 bits."""
        return self.x86 and not self.exact

    @property
    def signature(self) -> str:
        """What compiled graphs depend on: the same CPU runs other kernels when some are forbidden."""
        return f"{self.cpu}|{','.join(self.exact)}|{_isa_limit() or ''}"


@dataclass(frozen=True)
class Choice:
    """The arithmetic of quantized graphs, and why it is that one.

    Attributes:
        arithmetic: "int8" runs them on 8-bit kernels; "int7" does so with activations in 7 bits, which is exact on
            kernels that add in 16; "float" computes in float with the 8-bit weights; "simulated" and "simulated-int7"
            round as these kernels do, and compute in float: what other CPUs answer, slowly.
        reason: a sentence for people.
        asked: whether somebody asked for it, so that nothing else may be used where that is faster.
    """

    arithmetic: Arithmetic
    reason: str
    asked: bool = False


def this_host() -> Host:
    """Describe the CPU that this process runs on, ``ONEDNN_MAX_CPU_ISA`` respected."""
    features = set(detected_info().features)
    has = tuple(feature for feature in EXACT_FEATURES if feature in features)
    limit = _isa_limit() or ""
    allowed = _LIMITED_TO.get(limit, (*EXACT_FEATURES, *BF16_FEATURES))
    return Host(
        cpu=brand_string() or platform.processor() or platform.machine(),
        exact=tuple(feature for feature in has if feature in allowed),
        masked=tuple(feature for feature in has if feature not in allowed),
        x86=platform.machine().lower() in ("x86_64", "amd64"),
        bf16=tuple(feature for feature in BF16_FEATURES if feature in features and feature in allowed),
        limit=f"{_isa_variable()}={limit}" if limit in _LIMITED_TO else "",
    )


def choose_arithmetic(option: ArithmeticOption = "auto", host: Host | None = None) -> Choice:
    """The arithmetic that quantized graphs get.

    Args:
        option: "auto" is ``$BLIPVINO_ARITHMETIC`` where that is set, else "int8" where 8-bit kernels are exact, and
            "int7" where they are not.
        host: by default this one.

    Raises:
        InputError: no such arithmetic.
    """
    variable = os.environ.get(VARIABLE) or "auto"
    for value, name in ((option, "arithmetic"), (variable, f"the environment variable {VARIABLE}")):
        if value not in get_args(ArithmeticOption):
            raise InputError(f"{name} is {value!r}, expected one of {', '.join(get_args(ArithmeticOption))}")
    host = host or this_host()
    if option != "auto":
        return Choice(option, f"{_described(option)}, as asked for", asked=True)
    if variable != "auto":
        return Choice(cast(Arithmetic, variable), f"{_described(variable)}, as {VARIABLE} says", asked=True)
    if host.exact:
        return Choice("int8", f"{_described('int8')}: {host.cpu} adds their products exactly ({host.exact[0]})")
    if not host.saturates:
        return Choice("int8", f"{_described('int8')}: {host.cpu} is no x86 CPU, whose old ones add products in 16 bits")
    why = f"has no {' or '.join(EXACT_FEATURES)}"
    if host.masked:
        why = f"is kept from {', '.join(host.masked)} by {_isa_variable()}={_isa_limit()}"
    return Choice("int7", f"{_described('int7')}: {host.cpu} {why}, so 8-bit kernels add products in 16 bits")


def arithmetic_elsewhere(option: ArithmeticOption, device: str) -> Choice:
    """The arithmetic that quantized graphs get on another device than the CPU: the device's own, of graphs as they are.

    Args:
        option: "float" takes quantizers out.
        device: its name.
    """
    if option == "float":
        return Choice("float", f"{_described('float')} on {device}, as asked for", asked=True)
    return Choice("int8", f"8-bit graphs as they are, computed by {device}", asked=option != "auto")


def _described(arithmetic: str) -> str:
    told = {
        "int8": "8-bit arithmetic",
        "int7": "8-bit arithmetic with activations in 7 bits",
        "float": "Float arithmetic with 8-bit weights",
        "simulated": "8-bit arithmetic, simulated in float",
    }
    return told.get(arithmetic, "8-bit arithmetic with activations in 7 bits, simulated in float")


def _isa_variable() -> str | None:
    return next((name for name in _ISA_VARIABLES if os.environ.get(name)), None)


def _isa_limit() -> str | None:
    name = _isa_variable()
    return None if name is None else os.environ[name].upper()
