"""Which ways there are to compute a graph: by arithmetic, asked for or not, and by whether it is quantized."""

from dataclasses import replace
from typing import get_args

import pytest

from blipvino import EngineOptions
from blipvino.machine.host import Arithmetic, Choice
from blipvino.runtime.compiling.engine_options import LayersOption
from blipvino.runtime.compiling.ways import Way, ways_of

OPTIONS = EngineOptions(threads=1)
ARITHMETICS = get_args(Arithmetic)
MATMULS, CONVOLUTIONS = "8-bit matmuls", "8-bit convolutions"


def ways(arithmetic, asked, layers="auto", quantized=True, bf16=False):
    return ways_of(replace(OPTIONS, layers=layers), Choice(arithmetic, "", asked), quantized, bf16)


def labels(some):
    return [way.label for way in some]


@pytest.mark.parametrize(
    ("arithmetic", "asked", "layers", "candidates", "fallbacks"),
    [
        ("int8", False, "auto", [MATMULS, CONVOLUTIONS], ["float"]),
        ("int8", False, "matmul", [MATMULS], ["float"]),
        ("int8", False, "convolution", [CONVOLUTIONS], ["float"]),
        ("int8", True, "auto", [MATMULS, CONVOLUTIONS], ["float"]),
        ("int8", True, "matmul", [MATMULS], ["float"]),
        ("int8", True, "convolution", [CONVOLUTIONS], ["float"]),
        ("int7", False, "auto", [CONVOLUTIONS, MATMULS], ["float"]),
        ("int7", False, "matmul", [MATMULS], ["float"]),
        ("int7", False, "convolution", [CONVOLUTIONS], ["float"]),
        ("int7", True, "auto", [CONVOLUTIONS, MATMULS], ["float"]),
        ("int7", True, "matmul", [MATMULS], ["float"]),
        ("int7", True, "convolution", [CONVOLUTIONS], ["float"]),
        ("float", True, "auto", ["float"], []),
        ("float", True, "convolution", ["float"], []),
        ("simulated", True, "auto", ["simulated"], ["float"]),
        ("simulated", True, "convolution", ["simulated"], ["float"]),
        ("simulated-int7", True, "auto", ["simulated-int7"], ["float"]),
    ],
)
def test_ways_of_a_quantized_graph(arithmetic, asked, layers, candidates, fallbacks):
    found = ways(arithmetic, asked, layers)
    assert labels(found.candidates) == candidates
    assert labels(found.fallbacks) == fallbacks
    assert {way.arithmetic for way in found.all} <= {arithmetic, "float"}


@pytest.mark.parametrize("layers", get_args(LayersOption))
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    ("arithmetic", "candidate", "fallbacks"),
    [
        ("int8", MATMULS, ["float"]),  # its weights may meet activations that are rounded as they come
        ("int7", "float", []),
        ("float", "float", []),
        ("simulated", "simulated", ["float"]),
        ("simulated-int7", "float", []),
    ],
)
def test_of_a_graph_that_is_not_quantized_there_is_one(arithmetic, candidate, fallbacks, asked, layers):
    found = ways(arithmetic, asked, layers, quantized=False)
    assert labels(found.candidates) == [candidate]
    assert labels(found.fallbacks) == fallbacks


@pytest.mark.parametrize("quantized", [True, False])
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_where_bfloat16_falls_short_too_float32_is_left(arithmetic, asked, quantized):
    without, found = (ways(arithmetic, asked, quantized=quantized, bf16=bf16) for bf16 in (False, True))
    assert found.candidates == without.candidates
    assert found.fallbacks == (*without.fallbacks, Way("float", replace(OPTIONS, precision="f32")))


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("quantized", [True, False])
@pytest.mark.parametrize("layers", get_args(LayersOption))
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_ways_are_told_apart(arithmetic, asked, layers, quantized, bf16):
    found = ways(arithmetic, asked, layers, quantized, bf16)
    assert len(set(labels(found.candidates))) == len(found.candidates)
    assert len(set(found.all)) == len(found.all)
    assert "float" in labels(found.all)


def test_settings_of_each():
    def settings(arithmetic, name="vision", precision="auto"):
        return Way(arithmetic, replace(OPTIONS, precision=precision)).properties(name, 96)

    assert settings("simulated")["LP_TRANSFORMS_MODE"] == settings("simulated-int7")["LP_TRANSFORMS_MODE"] == "NO"
    assert "LP_TRANSFORMS_MODE" not in settings("int7")
    for arithmetic in ("int7", "float", "simulated", "simulated-int7"):
        assert settings(arithmetic, "answer_kv")["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == "0"
    assert settings("int8", "answer_kv")["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == "96"
    assert settings("int8", "answer_kv", "f32")["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == "0"
    assert "DYNAMIC_QUANTIZATION_GROUP_SIZE" not in settings("int8")
