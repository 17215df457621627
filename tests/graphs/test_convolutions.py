"""Linear layers as convolutions: the same numbers, as many as there are, and nothing copied around them."""

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from layer_subjects import EXACT, WITHOUT_KERNELS, graph, kinds, linear, quantizer, run, weight

from blipvino.bundle.bundle import open_bundle
from blipvino.graphs.arithmetic import in_7_bits
from blipvino.graphs.convolutions import as_convolutions
from blipvino.graphs.handover import take_back_handover
from blipvino.graphs.surgery import readers
from blipvino.machine.core import openvino_core
from blipvino.metrics.sqnr import Fidelity
from blipvino.runtime.compiling.sizes import Sizes, reshaped
from blipvino.runtime.reading import read_config

WIDTH, CHANNELS = 24, 16
RNG = np.random.default_rng(0)
INTEGERS = RNG.integers(-128, 128, (CHANNELS, WIDTH))
SCALES = RNG.uniform(0.001, 0.01, CHANNELS)
BIAS = RNG.standard_normal(CHANNELS).astype(np.float32)
ROWS = RNG.standard_normal((3, 5, WIDTH)).astype(np.float32)


def plain(layer):
    return [layer]


def with_bias(layer):
    return [ops.add(layer, ops.constant(BIAS))]


def with_bias_of_three_axes(layer):
    return [ops.add(layer, ops.constant(BIAS.reshape(1, 1, -1)))]


def with_bias_in_half_precision(layer):
    return [ops.add(layer, ops.convert(ops.constant(BIAS.astype(np.float16)), "f32"))]


def with_bias_first(layer):
    return [ops.add(ops.constant(BIAS), layer)]


def with_bias_and_gelu(layer):
    return [ops.gelu(*with_bias(layer), "ERF")]


def with_bias_and_approximate_gelu(layer):
    return [ops.gelu(*with_bias(layer), "TANH")]


def with_gelu_alone(layer):
    return [ops.gelu(layer, "ERF")]


def read_before_its_bias(layer):
    return [*with_bias(layer), ops.relu(layer)]


def read_before_its_gelu(layer):
    (biased,) = with_bias(layer)
    return [ops.gelu(biased, "ERF"), ops.relu(biased)]


def with_a_bias_that_is_no_constant(layer):
    return [ops.add(layer, ops.reduce_mean(layer, ops.constant([1]), True))]


def with_itself(layer):
    return [ops.add(layer, layer)]


def with_one_number(layer):
    return [ops.add(layer, ops.constant(np.float32(0.5)))]


def with_a_constant_for_each_position(layer):
    """As position embeddings are added."""
    return [ops.add(layer, ops.constant(np.linspace(-1, 1, 5 * CHANNELS, dtype=np.float32).reshape(1, 5, CHANNELS)))]


def layer_graph(around, *shape):
    parameter = ops.parameter(list(shape), np.float32)
    return graph(around(linear(quantizer(parameter, -2, 3), weight(INTEGERS, SCALES))), parameter)


@pytest.mark.parametrize("shape", [(3, 5, WIDTH), (-1, -1, WIDTH), (-1, 5, WIDTH)], ids=str)
@pytest.mark.parametrize(
    "around",
    [
        plain,
        with_bias,
        with_bias_of_three_axes,
        with_bias_in_half_precision,
        with_bias_first,
        with_bias_and_gelu,
        with_bias_and_approximate_gelu,
        with_gelu_alone,
        read_before_its_bias,
        read_before_its_gelu,
        with_a_bias_that_is_no_constant,
        with_itself,
        with_one_number,
        with_a_constant_for_each_position,
    ],
    ids=lambda around: around.__name__,
)
def test_a_layer_computes_the_same(around, shape):
    model = layer_graph(around, *shape)
    expected = run(model, ROWS)
    assert as_convolutions(model) == 1
    assert kinds(model)["Convolution"] == 1
    assert "MatMul" not in kinds(model)
    made = run(model, ROWS)
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 5, WIDTH), (-1, -1, WIDTH)], ids=str)
def test_the_result_keeps_its_shape_and_its_name(shape):
    model = layer_graph(with_bias_and_gelu, *shape)
    last = model.get_results()[0].input_value(0).get_node()
    before, name = model.get_output_partial_shape(0), last.get_friendly_name()
    as_convolutions(model)
    assert model.get_output_partial_shape(0).rank == before.rank
    assert model.get_output_partial_shape(0)[2] == before[2]
    assert model.get_results()[0].input_value(0).get_node().get_friendly_name() == name


@pytest.mark.parametrize("rows", [(1, 1), (1, 7), (4, 2)], ids=str)
def test_open_dimensions_stay_open(rows):
    model = layer_graph(with_bias_and_gelu, -1, -1, WIDTH)
    given = np.random.default_rng(1).standard_normal((*rows, WIDTH)).astype(np.float32)
    (expected,) = run(model, given)
    as_convolutions(model)
    (made,) = run(model, given)
    assert made.shape == (*rows, CHANNELS)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_layers_in_a_row_are_all_rewritten():
    parameter = ops.parameter([1, 5, WIDTH], np.float32)
    (first,) = with_bias_and_gelu(linear(quantizer(parameter, -2, 3), weight(INTEGERS, SCALES)))
    second = linear(quantizer(first, -0.2, 3), weight(INTEGERS.T, [0.01] * WIDTH))
    model = graph([ops.add(second, parameter)], parameter)
    (expected,) = run(model, ROWS[:1])
    assert as_convolutions(model) == 2
    np.testing.assert_allclose(run(model, ROWS[:1])[0], expected, atol=1e-4)


def float_weight(parameter):
    return linear(quantizer(parameter, -2, 3), ops.constant(INTEGERS.astype(np.float32)))


def float_activations(parameter):
    return linear(parameter, weight(INTEGERS, SCALES))


def weight_of_4_bits(parameter):
    return linear(quantizer(parameter, -2, 3), weight(INTEGERS // 16, SCALES, ov.Type.i4))


def product_of_activations(parameter):
    return ops.matmul(quantizer(parameter, -2, 3), quantizer(parameter, -1, 1), False, True)


@pytest.mark.parametrize(
    "other",
    [float_weight, float_activations, weight_of_4_bits, product_of_activations],
    ids=lambda other: other.__name__,
)
def test_what_is_no_quantized_layer_stays(other):
    parameter = ops.parameter([3, 5, WIDTH], np.float32)
    model = graph([other(parameter)], parameter)
    before = kinds(model)
    assert as_convolutions(model) == 0
    assert kinds(model) == before


def test_a_layer_of_two_axes_stays():
    parameter = ops.parameter([5, WIDTH], np.float32)
    model = graph([linear(quantizer(parameter, -2, 3), weight(INTEGERS, SCALES))], parameter)
    assert as_convolutions(model) == 0


def read(folder, name):
    model = openvino_core().read_model(folder / f"{name}.xml")
    take_back_handover(model)
    return model


def inputs_of(model):
    """Something for each input, by its name and its shape."""
    rng = np.random.default_rng(0)
    made = {}
    for port in model.inputs:
        name, shape = port.get_any_name(), port.get_shape()
        if name == "pixels":
            made[name] = rng.integers(0, 256, shape).astype(np.uint8)
        elif name == "input_ids":
            made[name] = rng.integers(1, 40, shape)
        elif name == "attention_mask":
            made[name] = np.ones(shape, np.int64)
        else:
            made[name] = rng.standard_normal(shape).astype(np.float32)
    return made


LAYERS = {
    "vision": lambda config: 6 * config.vision.num_hidden_layers + 1,  # the patch embedding
    "question_kv": lambda config: 2 * config.text.num_hidden_layers,
    "question": lambda config: 8 * config.text.num_hidden_layers,
    "answer_kv": lambda config: 2 * config.text.num_hidden_layers,
}
"""How many linear layers each graph has."""


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
@pytest.mark.parametrize("name", ["vision", "question_kv", "question", "answer_kv"])
def test_a_bundles_graphs_compute_the_same(tiny_int8, name, closed):
    """Apart from what lies between two numbers of 8 bits: sums of another order may round to the other one."""
    sizes = Sizes(2, read_config(open_bundle(tiny_int8)).vision.num_positions, 4, 6)
    model = read(tiny_int8, name)
    reshaped(model, name, sizes)
    inputs = inputs_of(model)
    results = []
    for rewrite in (False, True):
        model = read(tiny_int8, name)
        if closed:
            reshaped(model, name, sizes)
        if rewrite:
            assert as_convolutions(model) == LAYERS[name](read_config(open_bundle(tiny_int8)))
        compiled = openvino_core().compile_model(model, "CPU", WITHOUT_KERNELS)
        results.append([np.array(array) for array in compiled(inputs).values()])
    assert sum((Fidelity.of(*pair) for pair in zip(*results, strict=True)), Fidelity()).sqnr > 40


@pytest.fixture(scope="module")
def compiled_vision(tiny_int8):
    """The runtime models of `vision` with 8-bit kernels: by matmul, and by convolution."""
    models = {}
    for layers in ("matmul", "convolution"):
        model = read(tiny_int8, "vision")
        in_7_bits(model)
        reshaped(model, "vision", Sizes(1))
        if layers == "convolution":
            as_convolutions(model)
        models[layers] = openvino_core().compile_model(model, "CPU", EXACT).get_runtime_model()
    return models


def layer_type(node):
    return node.get_rt_info()["layerType"].astype(str)


def copies(model):
    """The nodes that move numbers about; reorders of which OpenVINO found that nothing moves are "fake"."""
    named = [(layer_type(node), node.get_friendly_name()) for node in model.get_ops()]
    return [name for kind, name in named if kind == "Transpose" or (kind == "Reorder" and not name.endswith("_fake"))]


def test_nothing_is_copied_around_the_convolutions_of_vision(compiled_vision, tiny_int8):
    """Bias and GELU are fused into them, and the reorders before and behind them are such as move nothing."""
    model = compiled_vision["convolution"]
    convolutions = [node for node in model.get_ops() if layer_type(node) == "Convolution"]
    assert len(convolutions) == LAYERS["vision"](read_config(open_bundle(tiny_int8)))
    for node in convolutions:
        assert node.get_rt_info()["runtimePrecision"].astype(str) in ("u8", "i8")
        before, behind = node.input_value(0).get_node(), readers(node)
        for reorder in (before, *behind):
            assert (layer_type(reorder), reorder.get_friendly_name()[-5:]) == ("Reorder", "_fake")
        around = [before.input_value(0).get_node(), *(reader for reorder in behind for reader in readers(reorder))]
        assert {layer_type(each) for each in around} == {"Reshape"}
    assert len(copies(model)) <= len(copies(compiled_vision["matmul"]))
