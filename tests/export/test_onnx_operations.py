"""What is not translated is said, by the name of the operation, its node and its graph."""

import numpy as np
import onnxruntime
import openvino as ov
import openvino.opset13 as ops
import pytest
from onnx import numpy_helper

from blipvino import ExportError
from blipvino.export.onnx_data import InModel
from blipvino.export.onnx_graph import OnnxGraph
from blipvino.export.onnx_operations import translate
from blipvino.export.onnx_weights import read_weight


def graph_of(*nodes):
    """An ONNX graph that knows the inputs of these nodes."""
    graph = OnnxGraph("vision", "int8", InModel())
    for node in nodes:
        for value in node.input_values():
            if value.get_node().get_type_name() == "Parameter":
                graph.define(value.get_node(), "given")
    return graph


def given(*shape):
    return ops.parameter(list(shape), np.float32, "given")


def quantizer(low, high, *, levels=256, out=None):
    bounds = (low, high, *(out or (low, high)))
    node = ops.fake_quantize(given(2, 3), *(ops.constant(np.array(bound, np.float32)) for bound in bounds), levels)
    node.set_friendly_name("layer/quantizer")
    return node


def test_an_unknown_operation_is_named():
    node = ops.sinh(given(2))
    node.set_friendly_name("layer/odd")
    with pytest.raises(ExportError, match=r"^vision: Sinh layer/odd: has no translation to ONNX; expected one of "):
        translate(graph_of(node), node)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (quantizer(-1, 1, levels=16), "16 levels in 1 ranges, expected 256 in one"),
        (quantizer([[-1, -1, -1]], [[1, 1, 1]]), "256 levels in 3 ranges"),
        (quantizer(-1, 1, out=(-2, 2)), "expected the same range"),
        (quantizer(-1, 1), "its zero is level 127.500 of 256"),
        (quantizer(1, 2), "expected a whole one"),
        (ops.gelu(given(2), "tanh"), "expected the one with the error function"),
        (ops.mvn(given(2, 3), ops.constant(np.array([0])), True, 1e-5, "inside_sqrt"), "is no layer normalisation"),
        (ops.mvn(given(2, 3), ops.constant(np.array([-1])), True, 1e-5, "inside_sqrt"), "expected a constant factor"),
    ],
)
def test_what_cannot_be_said_in_onnx_is_refused(node, message):
    with pytest.raises(ExportError, match=message):
        translate(graph_of(node), node)


@pytest.mark.parametrize(
    ("low", "high", "zero_point"), [(0, 2.55, 0), (-1.28, 1.27, 128), (-0.5, 2.05, 50), (-2.55, 0, 255)]
)
def test_a_quantizer_keeps_its_scale_and_zero(low, high, zero_point):
    node = quantizer(low, high)
    graph = graph_of(node)
    translate(graph, node)
    scale, zero = (numpy_helper.to_array(each) for each in graph.initializers)
    assert scale == pytest.approx(0.01) and zero == zero_point and zero.dtype == np.uint8
    assert [each.op_type for each in graph.nodes] == ["QuantizeLinear", "DequantizeLinear"]


def random_weight(kind, rng):
    """A compressed matrix ``[24, 64]`` as it lies in a bundle, from 8 bits in rows to 4 bits in groups."""
    bits = 4 if "4" in kind else 8
    signed = kind.startswith("i")
    shape = [24, 4, 16] if bits == 4 else [24, 64]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    values = rng.integers(low, high, shape)
    element = {"i8": ov.Type.i8, "u8": ov.Type.u8, "i4": ov.Type.i4, "u4": ov.Type.u4}[kind]
    scales = rng.uniform(0.01, 0.02, [*shape[:-1], 1]).astype(np.float32)
    zeros = np.zeros_like(scales) if signed else rng.integers(0, high, scales.shape).astype(np.float32)
    node = ops.convert(ops.constant(packed(values, bits, element), element, shared_memory=False), "f32")
    if not signed:
        node = ops.subtract(node, ops.convert(ops.constant(zeros, ov.Type.u8 if bits == 8 else ov.Type.u4), "f32"))
    node = ops.multiply(node, ops.constant(scales))
    if bits == 4:
        node = ops.reshape(node, ops.constant(np.array([24, 64])), False)
    return node, ((values - zeros) * scales).reshape(24, 64).astype(np.float32)


def packed(values, bits, element):
    return values.astype(np.int8 if element in (ov.Type.i8, ov.Type.i4) else np.uint8)


@pytest.mark.parametrize("kind", ["i8", "u8", "i4", "u4"])
@pytest.mark.parametrize("transposed", [True, False])
def test_weights_of_every_kind_are_multiplied_as_they_are(kind, transposed):
    from onnx import TensorProto, helper

    rng = np.random.default_rng(0)
    weight, values = random_weight(kind, rng)
    x = rng.normal(size=(3, 64 if transposed else 24)).astype(np.float32)
    node = ops.matmul(given(-1, x.shape[1]), weight, False, transposed)
    np.testing.assert_allclose(read_weight(weight.output(0)).unpacked(), values, rtol=1e-6)
    graph = graph_of(node)
    translate(graph, node)
    assert graph.nodes[0].op_type == "DequantizeLinear"
    product = graph.value(node.output(0))
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("given", product)]
    proto = helper.make_graph(graph.nodes, "g", ports[:1], ports[1:], graph.initializers)
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    (found,) = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"given": x})
    np.testing.assert_allclose(found, x @ (values.T if transposed else values), rtol=1e-4, atol=1e-4)
