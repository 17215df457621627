"""Number formats that the CPU computes in."""

from __future__ import annotations

import openvino as ov

from blipvino.machine.host import Host


def number_formats(core: ov.Core, host: Host) -> tuple[str, ...]:
    """What OpenVINO lists for the CPU ("FP32", "BF16", "INT8", …), less bfloat16 where the limit forbids it.

    OpenVINO heeds ``ONEDNN_MAX_CPU_ISA`` when it picks kernels, and lists bfloat16, and chooses it, all the same: on a
    CPU that has it, no kernel is found then.
    """
    listed = listed_formats(core)
    return tuple(name for name in listed if name != "BF16") if host.limit and not host.bf16 else listed


def listed_formats(core: ov.Core) -> tuple[str, ...]:
    """What OpenVINO lists."""
    return tuple(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
