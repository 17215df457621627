"""Number formats: what OpenVINO lists, less what a limit on instructions forbids."""

from dataclasses import dataclass

import pytest

from blipvino.machine.host import Host
from blipvino.machine.number_formats import number_formats, settings_under_limit


@dataclass
class Core:
    """Stands for OpenVINO on a CPU with bfloat16."""

    listed: tuple[str, ...] = ("BF16", "FP32", "INT8")

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return list(self.listed)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (Host("Xeon", ("amx_int8",), bf16=("amx_bf16",)), ("BF16", "FP32", "INT8")),
        (Host("Xeon", (), ("amx_int8",), limit="ONEDNN_MAX_CPU_ISA=AVX2"), ("FP32", "INT8")),
        (Host("Xeon", ("avx512_vnni",), limit="X=AVX512_CORE_BF16", bf16=("avx512_bf16",)), ("BF16", "FP32", "INT8")),
        (Host("Neoverse", (), x86=False), ("BF16", "FP32", "INT8")),  # whose features have other names
    ],
)
def test_bfloat16_is_left_out_where_the_limit_forbids_it(host, expected):
    assert number_formats(Core(), host) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (Host("Xeon", ("amx_int8",), bf16=("amx_bf16",)), {}),
        (
            Host("Xeon", (), ("amx_int8",), limit="ONEDNN_MAX_CPU_ISA=AVX2"),
            {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"},
        ),
        (
            Host("Xeon", ("avx512_vnni",), ("amx_int8",), limit="X=AVX512_CORE_VNNI"),
            {"INFERENCE_PRECISION_HINT": "f32"},
        ),
        (Host("EPYC", ()), {}),  # has neither, and OpenVINO knows
    ],
)
def test_openvino_is_told_what_the_limit_forbids(host, expected):
    assert settings_under_limit(Core(), host) == expected
