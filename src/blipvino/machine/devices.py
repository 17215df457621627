"""Devices that OpenVINO computes on: which there are, what each supports, and the names that callers give.

A name is that of a device ("CPU", "GPU", "GPU.1", "NPU"), or of one of OpenVINO's ways to use several, with their
names after a colon: "AUTO" takes the best (of "AUTO:GPU,CPU" the first that is there), "MULTI:GPU,CPU" shares the work
out, "HETERO:GPU,CPU" gives each operation to the first that has it, "BATCH:GPU" joins requests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import openvino as ov

from blipvino.errors import InputError

CPU = "CPU"
"""The name that OpenVINO gives the processor."""
_CHOOSING = "AUTO"
_SHARING = ("HETERO", "MULTI", "BATCH")
_NAME = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)?")
_PART = re.compile(r"-?([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)?)(\(\d+\))?")
_EXPECTED = "expected a device of OpenVINO, such as CPU, GPU.0, AUTO or HETERO:GPU,CPU"


@dataclass(frozen=True)
class Device:
    """A device of this machine.

    Attributes:
        name: as OpenVINO calls it, such as "GPU.0".
        full_name: its maker's name.
        capabilities: number formats that it may compute in and what else it can do, as OpenVINO calls them.
    """

    name: str
    full_name: str
    capabilities: tuple[str, ...]

    def __str__(self) -> str:
        """One line."""
        return f"{self.name}: {self.full_name} ({', '.join(self.capabilities)})"


def present_devices(core: ov.Core) -> tuple[Device, ...]:
    """The devices of this machine, and what each supports."""
    return tuple(
        Device(
            name,
            str(core.get_property(name, "FULL_DEVICE_NAME")),
            tuple(core.get_property(name, "OPTIMIZATION_CAPABILITIES")),
        )
        for name in core.available_devices
    )


def device_name(given: object) -> str:
    """A device's name as OpenVINO writes it, in capitals; whether the device is there is not looked at.

    Raises:
        InputError: it is no name of a device or of several.
    """
    if not isinstance(given, str):
        raise InputError(f"device is {str(given)[:80]!r}, {_EXPECTED}")
    name = "".join(given.split()).upper()
    kind, colon, listed = name.partition(":")
    parts = listed.split(",") if listed else []
    if kind not in (_CHOOSING, *_SHARING):
        if not _NAME.fullmatch(name):
            raise InputError(f"device is {given[:80]!r}, {_EXPECTED}")
        return name
    if not parts and kind in _SHARING:
        raise InputError(f"device is {given[:80]!r}, which says of no device; expected such as {kind}:GPU,CPU")
    if not all(_PART.fullmatch(part) for part in parts) or (colon and not parts):
        raise InputError(f"device is {given[:80]!r}, {_EXPECTED}")
    if kind != _CHOOSING and any(part.startswith("-") for part in parts):
        raise InputError(f"device is {given[:80]!r}: only {_CHOOSING} leaves devices out")
    return name


def find_device(name: str, core: ov.Core) -> str:
    """The name to compile for: the same, or "CPU" where AUTO has nothing else to choose from.

    Of what AUTO may choose from, devices that are not there are left out, as OpenVINO does.

    Args:
        name: as `device_name` returns it.
        core: that knows the devices.

    Raises:
        InputError: a device is not there; the message lists those that are.
    """
    present = core.available_devices
    kind, _, listed = name.partition(":")
    parts = listed.split(",") if listed else []
    if kind == _CHOOSING:
        left = _choice(parts, present)
        if not left:
            raise _absent(name, present)
        if {_family(each) for each in left} == {CPU}:
            return CPU
        chosen = [part for part in parts if part.startswith("-") or _is_present(_bare(part), present)]
        return ":".join([kind, ",".join(chosen)]) if chosen else kind
    for part in parts or [name]:
        if not _is_present(_bare(part), present):
            raise _absent(name, present)
    return name


def keeps_compiled(name: str, core: ov.Core) -> bool:
    """Whether graphs that are compiled for a device can be written to a file and read again."""
    kind = name.partition(":")[0]
    return kind != "BATCH" and "EXPORT_IMPORT" in core.get_property(kind, "OPTIMIZATION_CAPABILITIES")


def described(name: str, core: ov.Core) -> list[str]:
    """A device's name and the full names of the devices that it is or uses: what compiled graphs depend on."""
    listed = name.partition(":")[2]
    parts = [_bare(part) for part in listed.split(",")] if listed else [name]
    known = {device.name: device.full_name for device in present_devices(core)}
    return [name, *(known.get(part, "") for part in parts)]


def uses_cpu(name: str) -> bool:
    """Whether some of the work is the CPU's."""
    return CPU in {_family(_bare(part)) for part in name.partition(":")[2].split(",")} or name == CPU


def _choice(parts: Sequence[str], present: Sequence[str]) -> list[str]:
    """The devices that AUTO may choose from; parts with a minus are left out, others are the only ones."""
    left_out = {_bare(part) for part in parts if part.startswith("-")}
    wanted = [_bare(part) for part in parts if not part.startswith("-")] or list(present)
    return [
        each for each in wanted if _is_present(each, present) and each not in left_out and _family(each) not in left_out
    ]


def _is_present(name: str, present: Sequence[str]) -> bool:
    """Whether a device is there. OpenVINO calls one alone "GPU", also "GPU.0", and several "GPU.0", "GPU.1"."""
    return name in present or f"{name}.0" in present or (name.endswith(".0") and name[:-2] in set(present) - {CPU})


def _bare(part: str) -> str:
    """The device's name in "-GPU.1" or "GPU(2)"."""
    found = _PART.fullmatch(part)
    return found[1] if found else part


def _family(name: str) -> str:
    return name.partition(".")[0]


def _absent(name: str, present: Sequence[str]) -> InputError:
    return InputError(f"device {name} is not there: OpenVINO finds {', '.join(present)} on this machine")
