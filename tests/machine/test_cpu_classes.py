"""Classes of machines: of a host, under a limit, and of records of before."""

from dataclasses import replace

import pytest
from speed_subjects import machine

from blipvino.errors import InputError
from blipvino.machine.cpu_classes import class_of
from blipvino.machine.host import Host
from blipvino.machine.record import classified, this_machine


@pytest.mark.parametrize(
    ("host", "machine_class"),
    [
        (Host("", ()), "avx2"),  # AVX-512 without VNNI too: it computes as AVX2 does
        (Host("", ("avx512_vnni",)), "avx512-vnni"),
        (Host("", ("avx512_vnni", "avx_vnni")), "avx512-vnni"),
        (Host("", ("avx_vnni",)), "avx-vnni"),
        (Host("", ("amx_int8", "avx512_vnni", "avx_vnni"), bf16=("amx_bf16",)), "bf16"),
        (Host("", ("avx512_vnni",), bf16=("avx512_bf16",)), "bf16"),
        (Host("", (), x86=False), "other"),
    ],
)
def test_classes_of_machines(host, machine_class):
    assert class_of(host) == machine_class


def test_a_limit_on_instructions_makes_a_machine_of_another_class(monkeypatch):
    monkeypatch.setattr("blipvino.machine.record.this_host", lambda: Host("", (), limit="ONEDNN_MAX_CPU_ISA=AVX2"))
    monkeypatch.delenv("BLIPVINO_ARITHMETIC", raising=False)
    limited = this_machine()
    assert (limited.machine_class, limited.quantized, limited.limit) == ("avx2", "int7", "ONEDNN_MAX_CPU_ISA=AVX2")


def test_the_class_of_records_of_before():
    old = machine(None, capabilities=("FP32", "INT8"))
    assert classified(old, "avx2").machine_class == "avx2"
    assert classified(replace(old, capabilities=("BF16", "INT8"))).machine_class == "bf16"
    with pytest.raises(InputError, match="give --class, one of avx2, avx512-vnni, avx-vnni, bf16"):
        classified(old)
    with pytest.raises(InputError, match="class avx-vnni, --class says avx2"):
        classified(machine("avx-vnni"), "avx2")
