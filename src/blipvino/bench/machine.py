"""What a measurement was taken on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

import openvino as ov

from blipvino.manifest import library_versions


@dataclass(frozen=True)
class Machine:
    """The machine and the libraries of a measurement.

    Attributes:
        cpu: the processor's name.
        cores: logical cores that this process may use.
        capabilities: number formats that OpenVINO computes in natively here.
        system: operating system and its version.
        python: Python's version.
        libraries: versions of the libraries that matter.
    """

    cpu: str
    cores: int
    capabilities: tuple[str, ...]
    system: str
    python: str
    libraries: dict[str, str]


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
    )
