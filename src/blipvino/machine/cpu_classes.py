"""Classes of machines: by what their CPU does with 8-bit numbers and bfloat16, which decides what a benchmark shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from blipvino.machine.host import Host

MachineClass = Literal["avx2", "avx512-vnni", "avx-vnni", "bf16", "other"]

TITLES: Mapping[MachineClass, str] = {
    "avx2": "AVX2 (no VNNI)",
    "avx512-vnni": "AVX-512 with VNNI",
    "avx-vnni": "AVX-VNNI (256 bit)",
    "bf16": "bf16 or AMX",
    "other": "Not x86",
}
"""What to call each class."""


def class_of(host: Host) -> MachineClass:
    """The class of a CPU, by the instructions that its kernels may use.

    AVX-512 without VNNI counts with AVX2: its quantized graphs run in the same arithmetic, for the same reason.
    """
    if not host.x86:
        return "other"
    if host.bf16:
        return "bf16"
    if not host.exact:
        return "avx2"
    return "avx-vnni" if host.exact == ("avx_vnni",) else "avx512-vnni"
