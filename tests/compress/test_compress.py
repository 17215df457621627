"""Recipes, and what compression does to graphs beyond what NNCF's own tests cover."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import nncf
import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from nncf.quantization.advanced_parameters import OverflowFix, QuantizationParameters
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from subjects import scene_image

from blipvino import Blip, CompressionError, InputError, find_recipe, optimize
from blipvino.checkpoint.architectures import QUESTION_ANSWERING
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.compress.calibration import prepare_calibration
from blipvino.compress.embeddings import look_up_in_8_bits
from blipvino.compress.graph_inputs import DECODER_TEXTS, GraphInputs
from blipvino.compress.ptq import quantize_int8
from blipvino.compress.storage import fits_fp16, save_graph
from blipvino.compress.weights import compress_weights
from blipvino.data import open_source, take
from blipvino.graphs.building import build_graph
from blipvino.graphs.recipes import RECIPE_NAMES, check_recipe
from blipvino.graphs.specs import GRAPHS, graph_names
from blipvino.graphs.surgery import number_operations
from blipvino.optimization.optimize import CalibrationOptions
from blipvino.optimization.preprocessing import write_preprocessing
from blipvino.progress import Reporter
from blipvino.recipe import PTQ_INT8, PTQ_MINMAX, WEIGHTS_INT4, WEIGHTS_INT8, Recipe, Treatment

SILENT = Reporter(show=False)


def test_every_recipe_treats_every_graph_and_says_how():
    for recipe in map(find_recipe, RECIPE_NAMES):
        assert "the tutorial" not in recipe.summary  # whose? It is the first line that a newcomer reads
        assert set(recipe.treatments) == set(GRAPHS)
        assert all(graph in recipe.describe() for graph in GRAPHS)


def test_an_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="int8, int8-int4, minmax, none"):
        find_recipe("int2")


def test_activations_of_a_graph_with_a_state_are_not_quantized(tmp_path):
    recipe = Recipe("mine", "", dict.fromkeys(GRAPHS, PTQ_INT8))
    with pytest.raises(InputError, match="recipe 'mine': answer cannot be ptq_int8; choose weights_int8"):
        optimize("demo", tmp_path / "bundle", recipe=recipe, show_progress=False)
    with pytest.raises(InputError, match="recipe 'mine': no treatment for question_kv"):
        optimize("demo", tmp_path / "bundle", recipe=Recipe("mine", "", {"vision": PTQ_INT8}), show_progress=False)
    assert not list(tmp_path.iterdir())


def test_group_size_changes_4_bit_weights_alone():
    recipe = find_recipe("int8-int4").with_group_size(32)
    assert recipe.treatments["answer"].group_size == 32
    assert recipe.treatments["vision"] == find_recipe("int8-int4").treatments["vision"]
    with pytest.raises(InputError, match="no 4-bit weights"):
        find_recipe("int8").with_group_size(32)
    with pytest.raises(InputError, match="-1"):
        find_recipe("int8-int4").with_group_size(-1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "int3"}, "method is 'int3', expected one of fp16"),
        ({"method": "fp16", "ratio": 0.5}, "ratio is no option of fp16, which has none"),
        ({"method": "weights_int8", "group_size": 64}, "group_size is no option of weights_int8"),
        ({"method": "weights_int4"}, "group_size is None"),
        ({"method": "weights_int4", "group_size": 0}, "group_size is 0"),
        ({"method": "weights_int4", "group_size": 64, "ratio": 0.0}, "ratio is 0.0"),
        ({"method": "weights_int4", "group_size": 64, "backup": "int2"}, "backup is 'int2'"),
        ({"method": "weights_int4", "group_size": 64, "awq": 2}, "awq is 2"),
        ({"method": "ptq_int8", "smooth_quant_alpha": 1.5}, "smooth_quant_alpha is 1.5, expected 0 to 1, or -1"),
        ({"method": "ptq_int8", "activation_range": "widest"}, "activation_range is 'widest'"),
        ({"method": "ptq_int8", "ignored": ("",)}, "ignored is"),
        ({"method": "ptq_int8", "overflow_fix": "enable"}, "overflow_fix is 'enable', expected one of True, False"),
        ({"method": "weights_int8", "overflow_fix": True}, "overflow_fix is no option of weights_int8"),
    ],
)
def test_a_treatment_refuses_options_that_mean_nothing(options, says):
    with pytest.raises(InputError, match=re.escape(says)):
        Treatment(**options)


def test_a_treatment_survives_json_and_says_what_is_not_default():
    for treatment in (
        Treatment("fp16"),
        PTQ_MINMAX,
        Treatment("ptq_int8", smooth_quant_alpha=0.5, ignored=("a", "b"), per_channel=False),
        Treatment("ptq_int8", overflow_fix=True),
        Treatment("weights_int4", group_size=-1, ratio=0.8, gptq=True, mode="asym"),
    ):
        assert Treatment.from_json(json.loads(json.dumps(treatment.to_json()))) == treatment
    assert str(PTQ_INT8) == "ptq_int8"
    assert str(PTQ_MINMAX) == "ptq_int8 (no SmoothQuant, bias_correction none, activation_range minmax)"
    assert str(Treatment("ptq_int8", overflow_fix=True)) == "ptq_int8 (overflow_fix)"
    assert str(Treatment("weights_int4", group_size=-1, gptq=True)) == "weights_int4 (a scale a row, gptq)"
    assert Treatment.from_json({"method": "ptq_int8", "group_size": None}) == PTQ_INT8  # an older bundle's
    assert Treatment.from_json({"method": "ptq_int8", "of a later version": 1}) == PTQ_INT8
    with pytest.raises(InputError, match="method is None"):
        Treatment.from_json({"group_size": 64})


def test_the_stateful_decoder_keeps_float_activations():
    with pytest.raises(InputError, match="answer"):
        check_recipe(Recipe("mine", "", {"answer": PTQ_INT8}), ("answer",))


def with_answer(treatment):
    """A recipe that treats the decoder alone, so that nothing is calibrated."""
    plain = find_recipe("none")
    return replace(plain, name="mine", treatments={**plain.treatments, "answer": treatment})


@pytest.mark.slow
def test_four_bits_make_the_decoder_smaller(tmp_path):
    sizes = [
        optimize("demo", tmp_path / str(number), recipe=with_answer(treatment), show_progress=False).graph_size(
            "answer"
        )
        for number, treatment in enumerate((WEIGHTS_INT8, WEIGHTS_INT4))
    ]
    assert sizes[1] < 0.75 * sizes[0]


def test_a_group_size_that_no_layer_can_have_is_refused_and_leaves_nothing(tmp_path):
    recipe = with_answer(replace(WEIGHTS_INT4, group_size=1000))
    with pytest.raises(CompressionError, match="answer"):
        optimize("demo", tmp_path / "bundle", recipe=recipe, show_progress=False)
    assert not list(tmp_path.iterdir())


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


def quantize_as_nncf_does(model, inputs, **options):
    """`nncf.quantize` as the tutorial calls it."""
    options = {"model_type": nncf.ModelType.TRANSFORMER, "subset_size": len(inputs), **options}
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


WITHOUT_SMOOTHING = nncf.AdvancedSmoothQuantParameters(matmul=-1)
FC1 = "vision_model.encoder.layers.1.mlp.fc1/matmul"


@pytest.mark.parametrize(
    ("treatment", "options", "advanced"),
    [
        (
            Treatment("ptq_int8", smooth_quant_alpha=0.5),
            {},
            {"smooth_quant_alphas": nncf.AdvancedSmoothQuantParameters(matmul=0.5)},
        ),
        (Treatment("ptq_int8", smooth_quant_alpha=-1), {}, {"smooth_quant_alphas": WITHOUT_SMOOTHING}),
        (
            PTQ_MINMAX,
            {},
            {
                "smooth_quant_alphas": WITHOUT_SMOOTHING,
                "disable_bias_correction": True,
                "activations_range_estimator_params": RangeEstimatorParametersSet.MINMAX,
            },
        ),
        (
            Treatment("ptq_int8", activation_range="median_minmax"),
            {},
            {"activations_range_estimator_params": RangeEstimatorParametersSet.MEDIAN_MINMAX},
        ),
        (
            Treatment("ptq_int8", activation_range="quantile"),
            {},
            {"activations_range_estimator_params": RangeEstimatorParametersSet.MEAN_QUANTILE},
        ),
        (Treatment("ptq_int8", bias_correction="none"), {}, {"disable_bias_correction": True}),
        (Treatment("ptq_int8", preset="performance"), {"preset": nncf.QuantizationPreset.PERFORMANCE}, {}),
        (
            Treatment("ptq_int8", per_channel=False),
            {},
            {"weights_quantization_params": QuantizationParameters(per_channel=False)},
        ),
        (Treatment("ptq_int8", overflow_fix=True), {}, {"overflow_fix": OverflowFix.ENABLE}),
        (Treatment("ptq_int8", ignored=(FC1,)), {"ignored_scope": nncf.IgnoredScope(names=[FC1])}, {}),
    ],
    ids=str,
)
def test_options_mean_what_they_mean_to_nncf(calibrated, treatment, options, advanced):
    graphs, calibration = calibrated
    inputs = calibration.vision_inputs()
    ours = quantize_int8(graphs["vision"], inputs, SILENT, treatment=treatment)
    parameters = nncf.AdvancedQuantizationParameters(**advanced)
    theirs = quantize_as_nncf_does(graphs["vision"], inputs, **options, advanced_parameters=parameters)
    assert_quantized_alike(ours, theirs)


def weight_extremes(model):
    """The least and the largest integer of every weight of a quantized MatMul, by its name."""
    extremes = {}
    for node in model.get_ops():
        if node.get_type_name() == "MatMul":
            weight = node.input_value(1).get_node()
            while weight.get_type_name() in ("Multiply", "Convert"):
                weight = weight.input_value(0).get_node()
            if weight.get_type_name() == "Constant":
                extremes[node.get_friendly_name()] = int(weight.data.min()), int(weight.data.max())
    return extremes


@pytest.mark.parametrize("graph", ["vision", "question_kv", "question"])
def test_the_overflow_fix_keeps_weights_to_half_the_range(calibrated, graph):
    graphs, calibration = calibrated
    inputs, writer = getattr(calibration, f"{graph}_inputs")(), graphs["question_kv"] if graph == "question" else None
    full, half = (
        weight_extremes(quantize_int8(graphs[graph].clone(), inputs, SILENT, treatment=treatment, writer=writer))
        for treatment in (PTQ_INT8, replace(PTQ_INT8, overflow_fix=True))
    )
    assert full.keys() == half.keys()
    assert len(full) > 3
    for name, (low, high) in half.items():
        assert max(-low, high) in (63, 64), name  # 2 * 255 * 64 still fits 16 bits
        assert max(-full[name][0], full[name][1]) in (127, 128), name


def test_what_takes_several_passes_still_keeps_float_outputs_and_takes_keys_and_values_from_their_writer(calibrated):
    graphs, calibration = calibrated
    full, kept = replace(PTQ_INT8, bias_correction="full"), {}
    quantize_int8(
        *(graphs["vision"], calibration.vision_inputs(), SILENT),
        treatment=full,
        keep=lambda image, embeds: kept.update({image: embeds.copy()}),
    )
    for image, given in enumerate(calibration.vision_inputs()):
        np.testing.assert_allclose(
            kept[image], run_float(graphs["vision"], given)["image_embeds"], rtol=1e-4, atol=1e-4
        )
    inputs = calibration.question_inputs()
    ours = quantize_int8(graphs["question"], inputs, SILENT, treatment=full, writer=graphs["question_kv"])
    assert quantizers(ours) > 0


def test_an_ignored_node_that_is_not_there_is_named(calibrated):
    graphs, calibration = calibrated
    with pytest.raises(CompressionError, match="no such node"):
        quantize_int8(
            *(graphs["vision"], calibration.vision_inputs(), SILENT),
            treatment=Treatment("ptq_int8", ignored=("no such node",)),
        )


def quantizers(model):
    """How many tensors a graph quantizes."""
    return sum(node.get_type_name() == "FakeQuantize" for node in model.get_ops())


@pytest.fixture
def inputs(tiny_vqa, tmp_path):
    """Calibration inputs of the tiny checkpoint's graphs."""
    with load_checkpoint(tiny_vqa.folder) as checkpoint:
        processors = write_preprocessing(checkpoint, tmp_path)
        samples = take(open_source("demo"), 4, seed=0, spread=True)
        yield GraphInputs(checkpoint, prepare_calibration(samples, processors.images, processors.texts, SILENT), SILENT)


def test_inputs_of_later_graphs_are_what_the_float_graphs_before_them_make(inputs, tiny_vqa):
    blip = tiny_vqa.blip
    image = inputs.calibration.images[0]
    embeds = blip.engine.image_embeds(image.pixels)
    asked = image.questions[0]
    states = blip.engine.question_states(asked["input_ids"], asked["attention_mask"], blip.engine.question_kv(embeds))
    sources = [given["source_states"] for given in inputs.of("answer_kv")]
    assert len(sources) == 8  # 4 images and a question about each
    np.testing.assert_allclose(sources[0], embeds, rtol=1e-2, atol=1e-2)
    assert sources[4].shape == states.shape
    assert np.abs(sources[4] - states).mean() < 0.02  # of about 1; they are made of embeddings in half precision


def test_the_decoder_is_calibrated_on_the_float_models_own_texts(inputs, tiny_vqa):
    texts = inputs.of("answer")
    assert len(texts) == min(8, DECODER_TEXTS)
    image = inputs.calibration.images[0]
    said = tiny_vqa.blip.caption_ids([image.pixels[0]])[0]
    assert texts[0]["input_ids"].tolist() == [said]
    assert texts[0]["position_ids"].tolist() == [list(range(len(said)))]


@pytest.mark.parametrize(
    "options",
    [{"awq": True}, {"scale_estimation": True}, {"gptq": True}, {"gptq": True, "ratio": 0.5, "mode": "asym"}],
    ids=str,
)
def test_weights_are_chosen_on_data(inputs, tiny_vqa, options):
    def compressed(treatment):
        with load_checkpoint(tiny_vqa.folder) as checkpoint:
            model = build_graph(checkpoint, "answer")
        return compress_weights(model, treatment, inputs.of("answer"), writer=inputs.writer("answer"))

    plain, chosen = (compressed(replace(WEIGHTS_INT4, group_size=16, **more)) for more in ({}, options))
    assert any(
        node.get_type_name() == "Constant" and not np.array_equal(node.data, other.data)
        for node, other in zip(weights(chosen), weights(plain), strict=False)
    )
    assert not any(node.get_type_name() == "PRelu" for node in chosen.get_ops())


def weights(model):
    """The constants of 4-bit weights, scales among them."""
    return [node for node in model.get_ordered_ops() if node.get_type_name() == "Constant" and node.data.size > 256]


def test_encoders_may_have_compressed_weights_and_answer_kv_may_be_quantized(tiny_vqa, tmp_path):
    treatments = {
        "vision": WEIGHTS_INT8,
        "question_kv": Treatment("ptq_int8", activation_range="minmax"),
        "question": Treatment("weights_int4", group_size=16),
        "answer_kv": Treatment("ptq_int8", activation_range="minmax"),
        "answer": Treatment("weights_int8", mode="sym"),
    }
    bundle = optimize(
        *(tiny_vqa.folder, tmp_path / "mixed"),
        recipe=Recipe("mixed", "", treatments),
        calibration=CalibrationOptions("demo", 4),
        show_progress=False,
    )
    core = ov.Core()
    counted = {graph: quantizers(core.read_model(bundle.path(f"{graph}.xml"))) for graph in treatments}
    assert counted["vision"] == counted["question"] == counted["answer"] == 0
    assert counted["question_kv"] > 0 and counted["answer_kv"] > 0
    assert bundle.manifest.recipe.treatments["question"].group_size == 16
    assert isinstance(Blip.load(bundle).answer(scene_image(1), "what is it?"), str)


def test_operations_are_named_within_their_graph_and_alike_whenever_it_is_built(tiny_vqa):
    with load_checkpoint(tiny_vqa.folder) as checkpoint:
        for graph in graph_names(checkpoint.config.architecture):
            first, second = (
                [node.get_friendly_name() for node in build_graph(checkpoint, graph).get_ordered_ops()] for _ in "ab"
            )
            assert first == second
            assert len(set(first)) == len(first)
            assert not any(re.match(r"[A-Z]\w*_\d", name) for name in first)


def test_names_made_of_a_counted_name_stay_with_it():
    x = ops.parameter([1], np.float32)
    table = ops.constant(np.ones(1, np.float32))
    table.set_friendly_name("Constant_7000")
    half = ops.convert(table, "f32")
    half.set_friendly_name("Constant_7000/half")
    total = ops.add(x, half)
    total.set_friendly_name("layer_1")
    model = ov.Model([ops.result(total)], [x], "small")
    number_operations(model)
    assert [node.get_friendly_name() for node in model.get_ordered_ops()] == [
        "Parameter_0",
        "Constant_1",
        "Constant_1/half",
        "layer_1",
        "Result_2",
    ]


OPTIMIZES = """
import os, sys
folder, cores, *recipes = sys.argv[1:]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
from blipvino import CalibrationOptions, optimize
for recipe in recipes:
    options = CalibrationOptions("demo", 4)
    optimize("demo", f"{folder}/{recipe}", recipe=recipe, calibration=options, show_progress=False)
"""


CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@pytest.mark.slow
@pytest.mark.skipif(CORES < 2, reason="needs two cores, and a system that lets a process choose among them")
def test_the_number_of_cores_and_what_the_process_made_before_leave_no_trace_in_a_graph(tmp_path):
    """Names are compared of all graphs; weights, where they are not calibrated: float noise may depend on threads."""
    for cores, recipes in (("1", ["none", "int8"]), ("2", ["int8", "none"])):
        (tmp_path / cores).mkdir()
        subprocess.run([sys.executable, "-c", OPTIMIZES, str(tmp_path / cores), cores, *recipes], check=True)
    for name in graph_names(QUESTION_ANSWERING):
        files = [f"none/{name}.xml", f"none/{name}.bin", f"int8/{name}.xml"]
        if not find_recipe("int8").treatments[name].needs_data:
            files.append(f"int8/{name}.bin")
        for file in files:
            assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes(), file
