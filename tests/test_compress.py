"""Recipes, and what compression does to graphs beyond what NNCF's own tests cover."""

import nncf
import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest

from blipvino import CalibrationOptions, CompressionError, InputError, find_recipe, optimize
from blipvino.checkpoint import load_checkpoint
from blipvino.compress.calibration import prepare_calibration
from blipvino.compress.embeddings import look_up_in_8_bits
from blipvino.compress.preprocessing import write_preprocessing
from blipvino.compress.ptq import quantize_int8
from blipvino.compress.recipe import RECIPES
from blipvino.compress.storage import fits_fp16, save_graph
from blipvino.data import open_source, take
from blipvino.graphs import BUILDERS, build_graph
from blipvino.progress import Reporter

SILENT = Reporter(show=False)


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


def test_words_are_looked_up_in_8_bits_and_are_the_same():
    rng = np.random.default_rng(0)
    table, scale = rng.integers(-128, 128, (50, 8), np.int8), rng.random((50, 1), np.float32)
    ids = ops.parameter([-1, -1], np.int64)
    ids.output(0).set_names({"input_ids"})
    dequantized = ops.multiply(ops.convert(ops.constant(table), "f32"), ops.constant(scale))
    other = ops.gather(ops.constant(scale), ids, ops.constant(np.int64(0)))  # no such table: stays as it is
    words = ops.gather(dequantized, ids, ops.constant(np.int64(0)))
    model = ov.Model([ops.result(ops.add(words, other))], [ids], "words")
    given = {"input_ids": rng.integers(0, 50, (2, 3))}
    core = ov.Core()
    before = core.compile_model(model, "CPU")(given)[0]
    look_up_in_8_bits(model)
    after = core.compile_model(model, "CPU")(given)[0]
    np.testing.assert_array_equal(after, before)
    looked_up = [node.get_output_element_type(0) for node in model.get_ops() if node.get_type_name() == "Gather"]
    assert sorted(kind.get_type_name() for kind in looked_up) == ["f32", "f32", "i8"]


class Walked(list):
    """A list that counts how often it is walked through."""

    walks = 0

    def __iter__(self):
        self.walks += 1
        return super().__iter__()


def run_float(model, given):
    """Outputs of a float graph, by name."""
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {output.get_any_name(): value for output, value in compiled(given).items()}


def quantize_as_nncf_does(model, inputs):
    """`nncf.quantize` as the tutorial calls it."""
    options = {"model_type": nncf.ModelType.TRANSFORMER, "subset_size": len(inputs)}
    return nncf.quantize(model, nncf.Dataset(inputs), **options)


def assert_quantized_alike(ours, theirs):
    """The same operations, weights that differ by a rounding here and there, ranges and biases by float noise."""
    pairs = list(zip(ours.get_ordered_ops(), theirs.get_ordered_ops(), strict=True))
    for our, their in pairs:
        assert our.get_type_name() == their.get_type_name()
        if our.get_type_name() == "Constant" and our.get_element_type() == ov.Type.i8:
            differences = np.abs(our.data.astype(int) - their.data)
            assert differences.max() <= 1
            assert differences.mean() < 1e-3
        elif our.get_type_name() == "Constant":
            np.testing.assert_allclose(our.data, their.data, rtol=1e-4, atol=1e-5 * np.abs(their.data).max())
    assert any(our.get_type_name() == "FakeQuantize" for our, _ in pairs)


@pytest.fixture
def calibrated(tiny_vqa, tmp_path):
    """The float graphs that are quantized, by name, and a calibration set that knows its image embeddings."""
    with load_checkpoint(tiny_vqa.folder) as checkpoint:
        processors = write_preprocessing(checkpoint, tmp_path)
        graphs = {name: build_graph(checkpoint, name) for name in ("vision", "question_kv", "question")}
    samples = take(open_source("demo"), 6, seed=0, spread=True)
    calibration = prepare_calibration(samples, processors.images, processors.texts, SILENT)
    for image, given in enumerate(calibration.vision_inputs()):
        calibration.keep_embeds(image, run_float(graphs["vision"], given)["image_embeds"])
    return graphs, calibration


def test_vision_is_quantized_in_one_pass_as_nncf_does_in_two_and_its_float_outputs_are_kept(calibrated):
    graphs, calibration = calibrated
    inputs, kept = Walked(calibration.vision_inputs()), {}
    ours = quantize_int8(
        graphs["vision"], inputs, SILENT, keep=lambda image, embeds: kept.update({image: embeds.copy()})
    )
    assert inputs.walks == 1
    assert_quantized_alike(ours, quantize_as_nncf_does(graphs["vision"], list(inputs)))
    for image, given in enumerate(inputs):
        computed = run_float(graphs["vision"], given)["image_embeds"]
        np.testing.assert_allclose(kept[image], computed, rtol=1e-4, atol=1e-4)


def test_question_kv_is_quantized_in_one_pass_as_nncf_does_in_two(calibrated):
    graphs, calibration = calibrated
    inputs = Walked(calibration.question_kv_inputs())
    ours = quantize_int8(graphs["question_kv"], inputs, SILENT)
    assert inputs.walks == 1
    full = [{"image_embeds": given["image_embeds"].astype(np.float32)} for given in inputs]
    assert_quantized_alike(ours, quantize_as_nncf_does(graphs["question_kv"], full))


def test_question_is_quantized_in_one_pass_as_nncf_does_in_two_with_keys_and_values_given(calibrated):
    graphs, calibration = calibrated
    inputs = Walked(calibration.question_inputs())
    ours = quantize_int8(graphs["question"], inputs, SILENT, writer=graphs["question_kv"])
    assert inputs.walks == 1
    full = []
    for given in inputs:
        cross = run_float(graphs["question_kv"], {"image_embeds": given["image_embeds"].astype(np.float32)})
        full.append({"input_ids": given["input_ids"], "attention_mask": given["attention_mask"], **cross})
    assert_quantized_alike(ours, quantize_as_nncf_does(graphs["question"], full))
