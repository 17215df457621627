"""Number formats that the CPU computes in, and OpenVINO's settings that keep it to them."""

from __future__ import annotations

from collections.abc import Mapping

import openvino as ov

from blipvino.machine.host import Host

EXACT_SETTINGS: Mapping[str, str] = {
    "INFERENCE_PRECISION_HINT": "f32",
    "LP_TRANSFORMS_MODE": "NO",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
"""A graph's own numbers, computed in float32: no 8-bit kernels, and no activations rounded as they come."""


def number_formats(core: ov.Core, host: Host) -> tuple[str, ...]:
    """What OpenVINO lists for the CPU ("FP32", "BF16", "INT8", …), less bfloat16 where the limit forbids it.

    OpenVINO heeds ``ONEDNN_MAX_CPU_ISA`` when it picks kernels, and lists bfloat16, and chooses it, all the same: on a
    CPU that has it, no kernel is found then.
    """
    return tuple(name for name in listed_formats(core) if name != "BF16" or not _forbids_bf16(host))


def listed_formats(core: ov.Core) -> tuple[str, ...]:
    """What OpenVINO lists."""
    return tuple(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def settings_under_limit(core: ov.Core, host: Host) -> dict[str, str]:
    """Settings for what ``ONEDNN_MAX_CPU_ISA`` forbids, which OpenVINO heeds only once it looks for kernels.

    Without them a CPU with AMX that is limited to AVX2 compiles neither bfloat16 nor layers whose weights alone are in
    8 bits, for which it would quantize activations as they come. Empty where nothing is forbidden.
    """
    settings: dict[str, str] = {}
    if _forbids_bf16(host) and "BF16" in listed_formats(core):
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    if host.masked and not host.exact:
        settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"
    return settings


def _forbids_bf16(host: Host) -> bool:
    return bool(host.limit) and not host.bf16
