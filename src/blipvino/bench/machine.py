"""What a measurement was taken on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

import openvino as ov

from blipvino.host import choose_arithmetic
from blipvino.manifest import library_versions


@dataclass(frozen=True)
class Machine:
    """The machine and the libraries of a measurement.

    Attributes:
        cpu: the processor's name.
        cores: logical cores that this process may use.
        capabilities: number formats that OpenVINO lists for it.
        system: operating system and its version.
        python: Python's version.
        libraries: versions of the libraries that matter.
        arithmetic: of quantized graphs here, and why.
    """

    cpu: str
    cores: int
    capabilities: tuple[str, ...]
    system: str
    python: str
    libraries: dict[str, str]
    arithmetic: str = ""


def this_machine() -> Machine:
    """Describe the machine that this process runs on."""
    core = ov.Core()
    return Machine(
        cpu=str(core.get_property("CPU", "FULL_DEVICE_NAME")),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        capabilities=tuple(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        libraries=library_versions(),
        arithmetic=choose_arithmetic().reason,
    )
