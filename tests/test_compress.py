"""Recipes, and what compression does to graphs beyond what NNCF's own tests cover."""

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest

from blipvino import CalibrationOptions, CompressionError, InputError, find_recipe, optimize
from blipvino.compress.recipe import RECIPES
from blipvino.compress.storage import fits_fp16, save_graph
from blipvino.graphs import BUILDERS


def test_every_recipe_treats_every_graph_and_says_how():
    for recipe in RECIPES.values():
        assert set(recipe.treatments) == set(BUILDERS)
        assert all(graph in recipe.describe() for graph in BUILDERS)


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="int8, int8-int4, none"):
        find_recipe("int2")


def test_group_size_changes_4_bit_weights_alone():
    recipe = find_recipe("int8-int4").with_group_size(32)
    assert recipe.treatments["answer"].group_size == 32
    assert recipe.treatments["vision"] == find_recipe("int8-int4").treatments["vision"]
    with pytest.raises(InputError, match="no 4-bit weights"):
        find_recipe("int8").with_group_size(32)
    with pytest.raises(InputError, match="-1"):
        find_recipe("int8-int4").with_group_size(-1)


def test_four_bits_make_the_decoder_smaller(tmp_path):
    calibration = CalibrationOptions(samples=4)
    recipes = {"int8": find_recipe("int8"), "int8-int4": find_recipe("int8-int4")}
    sizes = {}
    for name, recipe in recipes.items():
        bundle = optimize("demo", tmp_path / name, recipe=recipe, calibration=calibration, show_progress=False)
        sizes[name] = bundle.graph_size("answer")
    assert sizes["int8-int4"] < 0.75 * sizes["int8"]


def test_a_group_size_that_no_layer_can_have_is_refused_and_leaves_nothing(tmp_path):
    recipe = find_recipe("int8-int4").with_group_size(1000)
    with pytest.raises(CompressionError, match="answer"):
        optimize(
            "demo",
            tmp_path / "bundle",
            recipe=recipe,
            calibration=CalibrationOptions(samples=2),
            show_progress=False,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "absolute", "fits"),
    [
        ([1.0, -2.0, 0.0], False, True),
        ([1.0, 1e-6], False, False),
        ([1.0, 1e-6], True, True),
        ([1.0, 1e6], True, False),
        ([0.0, 0.0], False, True),
        ([1.0], False, False),
    ],
)
def test_what_fits_half_precision(values, absolute, fits):
    assert fits_fp16(np.array(values, np.float32), absolute=absolute) is fits


def test_a_quantized_graph_is_stored_without_float32_constants_and_computes_the_same(tmp_path):
    rng = np.random.default_rng(0)
    x = ops.parameter([1, 64], np.float32, "x")
    x.output(0).set_names({"x"})
    weight = ops.multiply(
        ops.convert(ops.constant(rng.integers(-127, 127, (64, 64)).astype(np.int8)), "f32"),
        ops.constant(rng.uniform(0.01, 0.02, (64, 1)).astype(np.float32)),
    )
    bias = ops.constant(rng.standard_normal(64).astype(np.float32))
    model = ov.Model([ops.result(ops.add(ops.matmul(x, weight, False, True), bias))], [x], "small")
    given = {"x": rng.standard_normal((1, 64)).astype(np.float32)}
    core = ov.Core()
    before = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(given)[0]
    save_graph(model, tmp_path / "small.xml")
    stored = core.read_model(tmp_path / "small.xml")
    kinds = {node.get_element_type() for node in stored.get_ops() if node.get_type_name() == "Constant"}
    assert ov.Type.f32 not in kinds
    after = core.compile_model(stored, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(given)[0]
    np.testing.assert_allclose(after, before, rtol=2e-3, atol=2e-3)
