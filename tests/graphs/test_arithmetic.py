"""Activations in 7 bits: what they are rounded to, which are, and that kernels that add in 16 bits are exact then."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_subjects import graph, kinds, linear, quantizer, run, weight

from blipvino.graphs.arithmetic import HIGHEST_OF_7_BITS, in_7_bits, is_linear

TESTS = Path(__file__).parents[1]
WIDTH = 8


def rows(*shape):
    return ops.parameter(list(shape), np.float32)


def rounded(values, low, high):
    """What activations become in 7 bits, by numpy alone: integers from 0 to 127, less an integer zero point."""
    step = np.float32(high - low) / np.float32(127)
    zero = np.rint(np.float32(-low) / step)
    return (np.clip(np.rint(values / step) + zero, 0, 127) - zero) * step


@st.composite
def ranges(draw):
    """Ranges of activations that have zero in them, as NNCF's do, and values within and far beyond them."""
    # Hundredths: hypothesis makes no floats once OpenVINO lets the processor flush subnormal ones to zero.
    high = draw(st.integers(1, 10_000)) / 100
    low = -high * draw(st.integers(0, 300)) / 100
    reach = round(300 * max(high, -low))
    values = np.array(draw(st.lists(st.integers(-reach, reach), min_size=WIDTH, max_size=WIDTH))) / 100
    return np.float32(low), np.float32(high), np.float32(values)


@given(ranges())
@settings(max_examples=40, deadline=None)
def test_values_are_rounded_as_numpy_says(drawn):
    low, high, values = drawn
    parameter = rows(1, 1, WIDTH)
    model = graph([linear(quantizer(parameter, low, high), weight(np.eye(WIDTH), [1] * WIDTH))], parameter)
    in_7_bits(model)
    (made,) = run(model, values[None, None])
    step = (high - low) / HIGHEST_OF_7_BITS
    exact = values / step
    no_tie = np.abs(exact - np.floor(exact) - 0.5) > 1e-3  # what lies in the middle may go to either side
    expected = rounded(values, low, high)
    np.testing.assert_allclose(made[0, 0][no_tie], expected[no_tie], atol=1e-3 * step)
    numbers = made / step
    np.testing.assert_allclose(numbers, np.rint(numbers), atol=1e-3)  # zero among them: the zero point is an integer
    assert np.rint(numbers).max() - np.rint(numbers).min() <= HIGHEST_OF_7_BITS


def test_what_is_beyond_the_range_is_clamped_to_127_steps():
    parameter = rows(1, 1, 4)
    model = graph([linear(quantizer(parameter, -27, 100), weight(np.eye(4), [1] * 4))], parameter)
    in_7_bits(model)
    (made,) = run(model, np.float32([[[-1000, -27.4, 100.4, 1000]]]))
    np.testing.assert_allclose(made[0, 0], [-27, -27, 100, 100], atol=1e-4)


def test_a_product_of_activations_stays_in_float():
    """As in attention. What a linear layer reads too is not rounded: it would have to be for both."""
    parameter = rows(1, 4, WIDTH)
    queries, keys = quantizer(parameter, -1, 1), quantizer(parameter, -2, 2)
    scores = ops.matmul(queries, keys, False, True)
    model = graph([scores, linear(keys, weight(np.eye(WIDTH), [1] * WIDTH))], parameter)
    in_7_bits(model)
    assert "FakeQuantize" not in kinds(model)
    values = np.random.default_rng(0).standard_normal((1, 4, WIDTH)).astype(np.float32)
    made = run(model, values)
    np.testing.assert_allclose(made[0], values @ values.transpose(0, 2, 1), rtol=1e-5)
    np.testing.assert_allclose(made[1], values, rtol=1e-5)


def test_outputs_that_cross_in_8_bits_keep_their_bits():
    parameter = rows(1, 2, 4)
    integers = ops.convert(
        ops.fake_quantize(parameter, *map(ops.constant, np.float32([-1.28, 1.27, -128, 127])), 256), "i8"
    )
    model = graph([integers], parameter)
    in_7_bits(model)
    (made,) = run(model, np.float32([[[-1.28, -0.01, 0.01, 1.27], [0, 0.5, -9, 9]]]))
    assert made.dtype == np.int8
    assert made.tolist() == [[[-128, -1, 1, 127], [0, 50, -128, 127]]]


def test_linear_layers_are_products_with_stored_integers():
    parameter = rows(1, 2, WIDTH)
    eye = weight(np.eye(WIDTH), [1] * WIDTH)
    fours = weight(np.eye(WIDTH), [1] * WIDTH, ov.Type.i4)
    assert is_linear(linear(parameter, eye))
    assert is_linear(linear(parameter, fours))
    assert not is_linear(linear(parameter, ops.constant(np.eye(WIDTH, dtype=np.float32))))
    assert not is_linear(ops.matmul(parameter, parameter, False, True))
    assert not is_linear(eye)


KERNELS = """
import json, sys
import numpy as np, openvino as ov, openvino.opset13 as ops
from layer_subjects import EXACT, graph, linear, quantizer, weight
from blipvino.graphs.arithmetic import in_7_bits
from blipvino.graphs.convolutions import as_convolutions
from blipvino.machine.core import openvino_core

K, N, ROWS = 256, 64, 48
rng = np.random.default_rng(0)
integers = np.where(rng.random((N, K)) < 0.5, 127, -128)
integers[0], integers[1] = 127, -128
activations = np.where(rng.random((1, ROWS, K)) < 0.5, 127, 0)
activations[0, 0] = 127
told = {}
for zero in (0, 64):
    for bits in (7, 8):
        for layers in ("matmul", "convolution"):
            parameter = ops.parameter([1, ROWS, K], np.float32)
            # In 8 bits a range of 255 steps, of which the values take the ends; in 7 bits one of 127.
            highest = 127 if bits == 7 else 255
            low, high = -zero, highest - zero
            model = graph([linear(quantizer(parameter, low, high), weight(integers, [1] * N))], parameter)
            if bits == 7:
                in_7_bits(model)
            if layers == "convolution":
                assert as_convolutions(model) == 1
            rows = np.where(activations > 0, high, low)
            compiled = openvino_core().compile_model(model, "CPU", EXACT)
            made = compiled([rows.astype(np.float32)])[0]
            wrong = np.abs(np.rint(made).astype(np.int64) - rows @ integers.T.astype(np.int64)).max()
            nodes = [(each.get_rt_info()["layerType"].astype(str), each.get_rt_info()["runtimePrecision"].astype(str))
                     for each in compiled.get_runtime_model().get_ops()]
            told[f"{layers} {bits} {zero}"] = [int(wrong), nodes]
print(json.dumps(told))
"""
"""The greatest deviation from whole numbers, and what ran, of a layer of extreme weights and activations."""


@pytest.fixture(scope="module")
def old_kernels():
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("only x86 CPUs have had kernels that add in 16 bits")
    paths = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": paths}
    command = [sys.executable, "-c", KERNELS]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("zero", [0, 64])
@pytest.mark.parametrize("layers", ["matmul", "convolution"])
def test_of_7_bits_kernels_that_add_in_16_are_exact_at_worst(old_kernels, layers, zero):
    wrong, nodes = old_kernels[f"{layers} 7 {zero}"]
    assert wrong == 0
    assert _ran_in_8_bits(nodes, layers)


@pytest.mark.parametrize("layers", ["matmul", "convolution"])
def test_of_8_bits_they_are_not(old_kernels, layers):
    wrong, nodes = old_kernels[f"{layers} 8 0"]
    assert _ran_in_8_bits(nodes, layers)
    assert wrong > 1_000_000  # of 255 * 127 * 256


def _ran_in_8_bits(nodes, layers):
    """Whether the product itself was computed by kernels of unsigned integers."""
    return ["FullyConnected" if layers == "matmul" else "Convolution", "u8"] in nodes
