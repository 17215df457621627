"""What a measurement was taken on."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace

from blipvino.errors import InputError
from blipvino.machine.core import openvino_core
from blipvino.machine.cores import usable_cores
from blipvino.machine.cpu_classes import TITLES, MachineClass, class_of
from blipvino.machine.host import choose_arithmetic, this_host
from blipvino.machine.number_formats import number_formats
from blipvino.machine.versions import library_versions


@dataclass(frozen=True)
class Machine:
    """The machine and the libraries of a measurement.

    Attributes:
        cpu: the processor's name.
        cores: logical cores that this process may use.
        capabilities: number formats that it may compute in, as OpenVINO calls them.
        system: operating system and its version.
        python: Python's version.
        libraries: versions of the libraries that matter.
        arithmetic: of quantized graphs here, and why.
        quantized: that arithmetic by its name, see `blipvino.machine.host.Choice`; empty in records of before.
        machine_class: of its CPU; None in records of before.
        limit: the environment variable that forbade instructions, ``NAME=VALUE``; empty if none did.
    """

    cpu: str
    cores: int
    capabilities: tuple[str, ...]
    system: str
    python: str
    libraries: dict[str, str]
    arithmetic: str = ""
    quantized: str = ""
    machine_class: MachineClass | None = None
    limit: str = ""


def this_machine() -> Machine:
    """Describe the machine that this process runs on."""
    core, host = openvino_core(), this_host()
    choice = choose_arithmetic(host=host)
    return Machine(
        cpu=str(core.get_property("CPU", "FULL_DEVICE_NAME")),
        cores=usable_cores(),
        capabilities=number_formats(core, host),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        libraries=library_versions(),
        arithmetic=choice.reason,
        quantized=choice.arithmetic,
        machine_class=class_of(host),
        limit=host.limit,
    )


def machine_rows(machine: Machine) -> tuple[tuple[str, str], ...]:
    """A machine as rows of a table of words."""
    return (
        ("processor", f"{machine.cpu}, {machine.cores} cores ({', '.join(machine.capabilities)})"),
        *((("instructions", f"limited by {machine.limit}"),) if machine.limit else ()),
        ("quantized graphs", machine.arithmetic or "not recorded"),
        ("system", f"{machine.system}, Python {machine.python}"),
        ("libraries", ", ".join(f"{name} {version}" for name, version in machine.libraries.items())),
    )


def classified(machine: Machine, asked: MachineClass | None = None) -> Machine:
    """A machine with its class: the recorded one, else what its capabilities tell, else the one asked for.

    Without bf16 capabilities do not tell the classes apart: OpenVINO lists INT8 with and without VNNI.

    Raises:
        InputError: nothing tells its class, or it is not the one asked for.
    """
    known = machine.machine_class or ("bf16" if "BF16" in machine.capabilities else None)
    if known is None and asked is None:
        names = ", ".join(TITLES)
        raise InputError(f"results of {machine.cpu} do not tell its class of machine; give --class, one of {names}")
    if known is not None and asked not in (None, known):
        raise InputError(f"results of {machine.cpu} are of the class {known}, --class says {asked}; leave it out")
    return replace(machine, machine_class=known or asked)
