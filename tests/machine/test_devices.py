"""Devices: names are checked before anything is loaded, and what is not there is told beside what is."""

from dataclasses import dataclass

import pytest

from blipvino.errors import InputError
from blipvino.machine.core import openvino_core
from blipvino.machine.devices import described, device_name, find_device, keeps_compiled, present_devices, uses_cpu


@dataclass
class Core:
    """Stands for OpenVINO on a machine with these devices."""

    available_devices: tuple[str, ...]

    def get_property(self, device, name):
        if name == "FULL_DEVICE_NAME":
            return f"the {device}"
        assert name == "OPTIMIZATION_CAPABILITIES" and device != "BATCH"  # which has no such property
        return ["FP32", "EXPORT_IMPORT"] if device in ("CPU", "GPU", "HETERO") else ["FP32"]


ALONE, ONE, TWO = Core(("CPU",)), Core(("CPU", "GPU", "NPU")), Core(("CPU", "GPU.0", "GPU.1"))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("cpu", "CPU"),
        ("gpu.0", "GPU.0"),
        ("AUTO", "AUTO"),
        (" auto: gpu , cpu", "AUTO:GPU,CPU"),
        ("AUTO:-CPU", "AUTO:-CPU"),
        ("MULTI:GPU(4),CPU", "MULTI:GPU(4),CPU"),
        ("BATCH:GPU(16)", "BATCH:GPU(16)"),
        ("NVIDIA", "NVIDIA"),
    ],
)
def test_names_are_written_as_openvino_does(given, name):
    assert device_name(given) == name


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "expected a device of OpenVINO, such as"),
        (None, "device is 'None', expected"),
        (0, "device is '0', expected"),
        ("CPU,GPU", "expected a device"),
        ("GPU:0", "expected a device"),
        ("AUTO:", "expected a device"),
        ("AUTO:CPU,,GPU", "expected a device"),
        ("HETERO", "which says of no device; expected such as HETERO:GPU,CPU"),
        ("MULTI:", "which says of no device"),
        ("HETERO:-CPU", "only AUTO leaves devices out"),
        ("CPU\nGPU.", "expected a device"),
    ],
)
def test_what_is_no_name_is_refused(given, says):
    with pytest.raises(InputError) as refusal:
        device_name(given)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("core", "name", "found"),
    [
        (ALONE, "CPU", "CPU"),
        (ALONE, "AUTO", "CPU"),
        (ALONE, "AUTO:GPU,CPU", "CPU"),
        (ONE, "AUTO", "AUTO"),
        (ONE, "AUTO:-GPU,-NPU", "CPU"),
        (ONE, "AUTO:GPU.0,CPU", "AUTO:GPU.0,CPU"),
        (TWO, "AUTO:NPU,GPU.1", "AUTO:GPU.1"),
        (TWO, "AUTO:-GPU", "CPU"),
        (TWO, "GPU", "GPU"),
        (ONE, "GPU.0", "GPU.0"),
        (TWO, "HETERO:GPU.1,CPU", "HETERO:GPU.1,CPU"),
        (ALONE, "MULTI:CPU(2)", "MULTI:CPU(2)"),
    ],
)
def test_a_device_is_found_and_auto_chooses_from_those_that_are_there(core, name, found):
    assert find_device(name, core) == found


@pytest.mark.parametrize(
    ("core", "name"),
    [
        (ALONE, "GPU"),
        (ALONE, "CPU.0"),
        (ONE, "GPU.1"),
        (ALONE, "AUTO:GPU"),
        (ALONE, "AUTO:-CPU"),
        (ALONE, "HETERO:GPU,CPU"),
        (ALONE, "MULTI:CPU,NPU"),
        (TWO, "NVIDIA"),
    ],
)
def test_an_absent_device_is_told_beside_those_that_are_there(core, name):
    with pytest.raises(InputError) as refusal:
        find_device(name, core)
    there = ", ".join(core.available_devices)
    assert str(refusal.value) == f"device {name} is not there: OpenVINO finds {there} on this machine"


def test_what_a_compiled_graph_depends_on():
    assert described("HETERO:GPU.1,CPU", TWO) == ["HETERO:GPU.1,CPU", "the GPU.1", "the CPU"]
    assert keeps_compiled("GPU", ONE) and keeps_compiled("HETERO:GPU,CPU", ONE)
    assert not any(keeps_compiled(name, ONE) for name in ("NPU", "AUTO:GPU,CPU", "BATCH:GPU"))
    assert uses_cpu("CPU") and uses_cpu("HETERO:GPU,CPU") and not uses_cpu("GPU.0") and not uses_cpu("AUTO:GPU")


def test_the_devices_of_this_machine():
    (cpu,) = [device for device in present_devices(openvino_core()) if device.name == "CPU"]
    assert cpu.full_name and "FP32" in cpu.capabilities
    assert str(cpu).startswith(f"CPU: {cpu.full_name} (")
