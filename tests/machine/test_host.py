"""The arithmetic that a host's CPU calls for."""

import pytest

from blipvino import EngineOptions, InputError
from blipvino.machine import host as module
from blipvino.machine.host import VARIABLE, Host, choose_arithmetic, this_host


class Detected:
    def __init__(self, *features):
        self.features = frozenset(features)


@pytest.fixture
def cpu(monkeypatch):
    """Pretend to be an x86 CPU with these features, and these environment variables."""
    for name in (VARIABLE, "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)

    def pretend(*features, **variables):
        monkeypatch.setattr(module, "detected_info", lambda: Detected("avx2", *features))
        monkeypatch.setattr(module, "brand_string", lambda: "Some CPU")
        monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return pretend


@pytest.mark.parametrize(
    ("features", "arithmetic"),
    [
        ((), "int7"),
        (("avx512f", "avx512bw"), "int7"),  # AVX-512 without VNNI adds in 16 bits too
        (("avx512f", "avx512_vnni"), "int8"),
        (("avx_vnni",), "int8"),
        (("avx512_vnni", "amx_int8", "amx_bf16"), "int8"),
        (("avx512_bf16",), "int7"),
    ],
)
def test_auto_is_8_bits_where_products_are_added_exactly_and_else_7(cpu, features, arithmetic):
    cpu(*features)
    assert choose_arithmetic().arithmetic == arithmetic
    assert "Some CPU" in choose_arithmetic().reason


@pytest.mark.parametrize(
    ("limit", "features", "arithmetic"),
    [
        ("AVX2", ("avx512_vnni", "avx_vnni"), "int7"),
        ("avx2", ("avx512_vnni",), "int7"),
        ("AVX512_CORE", ("avx512_vnni", "amx_int8"), "int7"),
        ("AVX2_VNNI", ("avx512_vnni",), "int7"),  # the CPU has not these
        ("AVX2_VNNI", ("avx_vnni",), "int8"),
        ("AVX512_CORE_VNNI", ("avx512_vnni", "amx_int8"), "int8"),
        ("AVX512_CORE_AMX", ("avx512_vnni", "amx_int8"), "int8"),
        ("ALL", ("avx512_vnni",), "int8"),
        ("nonsense", ("avx512_vnni",), "int8"),  # as OpenVINO takes it
    ],
)
@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_a_limit_on_instructions_is_respected(cpu, variable, limit, features, arithmetic):
    cpu(*features, **{variable: limit})
    choice = choose_arithmetic()
    assert choice.arithmetic == arithmetic
    if arithmetic == "int7":
        assert f"{variable}={limit.upper()}" in choice.reason


@pytest.mark.parametrize(
    ("limit", "bf16"),
    [
        ("", ("amx_bf16", "avx512_bf16")),
        ("ALL", ("amx_bf16", "avx512_bf16")),
        ("AVX512_CORE_AMX", ("amx_bf16", "avx512_bf16")),
        ("AVX512_CORE_BF16", ("avx512_bf16",)),
        ("AVX512_CORE_VNNI", ()),
        ("AVX2", ()),
    ],
)
def test_bfloat16_is_told_and_limited_too(cpu, limit, bf16):
    cpu("avx512_vnni", "avx512_bf16", "amx_bf16", ONEDNN_MAX_CPU_ISA=limit)
    assert this_host().bf16 == bf16


def test_a_limit_is_told_where_it_is_one(cpu, monkeypatch):
    cpu("avx512_vnni")
    assert this_host().limit == ""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "nonsense")
    assert this_host().limit == ""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    assert this_host().limit == "ONEDNN_MAX_CPU_ISA=AVX2"


def test_the_same_cpu_under_a_limit_is_another_for_compiled_graphs(cpu, monkeypatch):
    cpu("avx512_vnni")
    free = this_host().signature
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert this_host().signature != free


@pytest.mark.parametrize("arithmetic", ["int8", "int7", "float", "simulated", "simulated-int7"])
def test_option_comes_before_variable_and_variable_before_the_cpu(cpu, arithmetic, monkeypatch):
    cpu()
    monkeypatch.setenv(VARIABLE, arithmetic)
    assert choose_arithmetic().arithmetic == arithmetic
    assert VARIABLE in choose_arithmetic().reason
    for option in ("int8", "int7", "float", "simulated-int7"):
        assert choose_arithmetic(option).arithmetic == option


def test_what_was_asked_for_is_told_from_what_the_cpu_calls_for(cpu, monkeypatch):
    cpu()
    assert not choose_arithmetic().asked
    assert choose_arithmetic("int7").asked
    monkeypatch.setenv(VARIABLE, "int7")
    assert choose_arithmetic().asked


@pytest.mark.parametrize(
    ("host", "saturates"),
    [
        (Host("", ()), True),
        (Host("", (), masked=("avx512_vnni",)), True),
        (Host("", ("avx_vnni",)), False),
        (Host("", (), x86=False), False),
    ],
)
def test_kernels_cut_off_what_leaves_16_bits_on_x86_cpus_without_exact_instructions(host, saturates):
    assert host.saturates is saturates
    assert (choose_arithmetic("auto", host).arithmetic == "int7") is saturates


def test_other_processors_keep_8_bits():
    assert choose_arithmetic("auto", Host("Some ARM", (), x86=False)).arithmetic == "int8"


def test_an_unknown_arithmetic_is_refused(cpu, monkeypatch):
    cpu()
    with pytest.raises(InputError, match="arithmetic is 'int4', expected one of auto, int8"):
        choose_arithmetic("int4")
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(InputError, match=f"{VARIABLE} is 'fast'"):
        choose_arithmetic()


def test_engine_options_refuse_it_too():
    with pytest.raises(InputError, match="arithmetic"):
        EngineOptions(arithmetic="int4")
    with pytest.raises(InputError, match="selftest"):
        EngineOptions(selftest="maybe")
