"""Diagnosis: the noise of graphs and layers is what running both models shows, and a spoilt layer is named."""

import json
import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from subjects import EXACT
from typer.testing import CliRunner

from blipvino import Blip, BundleError, CompressionError, EngineOptions, InputError, find_recipe, optimize
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.cli.main import app
from blipvino.compress.calibration import prepare_calibration
from blipvino.compress.noise.layer_noise import LayerNoise
from blipvino.compress.noise.measure import rank_layers
from blipvino.compress.weights import compress_weights
from blipvino.data import open_source, take
from blipvino.graphs import build_graph
from blipvino.machine.host import VARIABLE
from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle
from blipvino.measure.diagnosis.diagnosis import Diagnosis
from blipvino.measure.report.charts.layer_chart import NAMED, layer_chart
from blipvino.measure.report.diagnosis_tables import diagnosis_tables, host_explanation, summary
from blipvino.metrics.sqnr import Fidelity
from blipvino.optimization.optimize import CalibrationOptions
from blipvino.progress import Reporter
from blipvino.recipe import WEIGHTS_INT8

SILENT = Reporter(show=False)
SPOILT = "vision_model.encoder.layers.1.mlp.fc1/matmul"


def diagnosed(bundle, **options):
    return diagnose_bundle(bundle, "demo:test", DiagnoseOptions(**{"samples": 3, **options}), show_progress=False)


@pytest.fixture(scope="module")
def bundle(tiny_vqa, tmp_path_factory):
    folder = tmp_path_factory.mktemp("diagnose") / "int8"
    calibration = CalibrationOptions(samples=8)
    return optimize(tiny_vqa.folder, folder, recipe="int8", calibration=calibration, show_progress=False).folder


@pytest.fixture(scope="module")
def diagnosis(bundle):
    return diagnosed(bundle)


@pytest.fixture(scope="module")
def images(tiny_vqa):
    return prepare_calibration(take(open_source("demo:test"), 3, 0), tiny_vqa.blip.images, tiny_vqa.blip.texts, SILENT)


def ranked(subject, model, images):
    with load_checkpoint(subject.folder) as checkpoint:
        return rank_layers(checkpoint, {"vision": model}, images.images, SILENT)["vision"]


def in_8_bits(subject, graph="vision", treatment=WEIGHTS_INT8):
    with load_checkpoint(subject.folder) as checkpoint:
        return compress_weights(build_graph(checkpoint, graph), treatment)


def test_fidelity_by_hand():
    error = Fidelity.of([3.0, 4.0], [3.0, 3.0])
    assert error.noise_to_signal == pytest.approx(1 / 25)
    assert error.sqnr == pytest.approx(13.9794, abs=1e-4)
    assert error.cosine == pytest.approx(21 / (5 * math.sqrt(18)))
    assert Fidelity.of([1, 2], [2, 4]).cosine == pytest.approx(1)  # an error of scale
    assert Fidelity.of([1, 0], [1, 0]).sqnr == math.inf
    assert Fidelity.of([0, 0], [1, 0]).sqnr == -math.inf
    assert error + error == Fidelity.of([3.0, 4.0, 3.0, 4.0], [3.0, 3.0, 3.0, 3.0])
    assert Fidelity.from_json(json.loads(json.dumps(error.to_json()))) == error


def test_a_bit_is_worth_six_decibels():
    values = np.random.default_rng(0).uniform(-1, 1, 10_000)
    coarse, fine = (Fidelity.of(values, np.round(values * levels) / levels).sqnr for levels in (64, 128))
    assert fine - coarse == pytest.approx(6.02, abs=0.1)


def test_every_compressed_graph_and_layer_is_there(diagnosis):
    assert [graph.graph for graph in diagnosis.graphs] == ["vision", "question_kv", "question", "answer_kv", "answer"]
    vision, question_kv, *_ = diagnosis.graphs
    assert vision.method == "ptq_int8"
    assert {layer.part for layer in vision.layers if layer.layer == 1} >= {"mlp.fc1", "mlp.fc2", "self_attn/scores"}
    assert [layer.layer for layer in question_kv.layers] == [0, 0, 1, 1]
    assert all(10 < layer.introduced.sqnr < 70 for graph in diagnosis.graphs for layer in graph.layers)
    assert "demo:test" in diagnosis.data


def question_error(subject, blip):
    """The error of a model's question states, end to end, on the samples of `diagnosed`."""
    error = Fidelity()
    for sample in take(open_source("demo:test"), 3, 42, spread=True):
        pixels = subject.blip.images.pixels([sample.image()])
        tokens = subject.blip.texts.questions([sample.questions[0].text])
        states = []
        for each in (subject.exact, blip):
            projected = each.engine.question_kv(each.engine.image_embeds(pixels))
            states.append(each.engine.question_states(tokens.input_ids, tokens.attention_mask, projected))
        error += Fidelity.of(*states)
    return error


def test_graphs_are_as_far_apart_as_when_both_models_run(tiny_vqa, bundle, diagnosis):
    with load_checkpoint(tiny_vqa.folder) as checkpoint:
        models = build_graph(checkpoint, "vision"), ov.Core().read_model(bundle / "vision.xml")
    plain = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}
    compiled = [ov.Core().compile_model(model, "CPU", plain) for model in models]
    vision = Fidelity()
    for sample in take(open_source("demo:test"), 3, 42, spread=True):
        pixels = tiny_vqa.blip.images.pixels([sample.image()])
        vision += Fidelity.of(*(model(pixels)[0] for model in compiled))
    question = question_error(tiny_vqa, Blip.load(bundle, options=replace(EXACT, arithmetic="simulated")))
    graphs = {graph.graph: graph for graph in diagnosis.graphs}
    assert graphs["vision"].alone.sqnr == pytest.approx(vision.sqnr, abs=0.01)
    assert graphs["vision"].chained == graphs["vision"].alone  # nothing comes before it
    assert graphs["question"].chained.sqnr == pytest.approx(question.sqnr, abs=0.1)
    assert graphs["question"].alone.sqnr > graphs["question"].chained.sqnr


@pytest.mark.parametrize("arithmetic", ["int8", "float", "simulated"])
def test_the_error_as_it_runs_here_is_that_of_the_kernels_that_run(tiny_vqa, bundle, arithmetic, monkeypatch):
    monkeypatch.setenv(VARIABLE, arithmetic)
    found = diagnosed(bundle)
    (question,) = (graph for graph in found.graphs if graph.graph == "question")
    error = question_error(tiny_vqa, Blip.load(bundle, options=EngineOptions(threads=1)))
    assert found.arithmetic == arithmetic
    assert question.as_run.sqnr == pytest.approx(error.sqnr, abs=0.1)
    if arithmetic == "float":  # activations are not rounded
        assert question.as_run.sqnr > question.chained.sqnr + 3
        assert "question +" in host_explanation(found)
    if arithmetic == "simulated" and not _computes_in_bf16():
        assert question.as_run.sqnr == pytest.approx(question.chained.sqnr, abs=0.1)
        assert host_explanation(found) is None


def _computes_in_bf16():
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def test_a_spoilt_layer_is_the_worst(tiny_vqa, images):
    model = in_8_bits(tiny_vqa)
    (layer,) = (node for node in model.get_ops() if node.get_friendly_name() == SPOILT)
    weight = layer.input_value(1)
    layer.input(1).replace_source_output(ops.multiply(weight, ops.constant(np.float32(1.3))).output(0))
    found = ranked(tiny_vqa, model, images)
    assert found[0].node == SPOILT
    assert found[0].noise_to_signal == pytest.approx(0.3**2, rel=0.2)  # its bias is not spoilt
    assert all(layer.noise_to_signal < 0.01 for layer in found[1:])


def test_an_ignored_layer_is_not_in_the_list(tiny_vqa, images):
    partly = in_8_bits(tiny_vqa, treatment=replace(WEIGHTS_INT8, ignored=(SPOILT,)))
    before, after = ranked(tiny_vqa, in_8_bits(tiny_vqa), images), ranked(tiny_vqa, partly, images)
    assert {layer.node for layer in before} - {layer.node for layer in after} == {SPOILT}


def test_nothing_of_a_float_graph_is_listed(tiny_vqa, images):
    with load_checkpoint(tiny_vqa.folder) as checkpoint:
        model = build_graph(checkpoint, "vision")
    assert ranked(tiny_vqa, model, images) == ()


def test_another_checkpoints_graph_is_refused(tiny_vqa, tiny_captioner, images):
    with pytest.raises(CompressionError, match="another"):
        ranked(tiny_vqa, in_8_bits(tiny_captioner, "answer_kv"), images)


def test_a_captioning_checkpoint(tiny_captioner, tmp_path):
    calibration = CalibrationOptions(samples=4)
    recipe = find_recipe("int8-int4").with_group_size(16)
    folder = optimize(
        tiny_captioner.folder, tmp_path / "b", recipe=recipe, calibration=calibration, show_progress=False
    ).folder
    found = diagnosed(folder)
    assert [graph.graph for graph in found.graphs] == ["vision", "answer_kv", "answer"]
    answer_kv, answer = (max(layer.noise_to_signal for layer in graph.layers) for graph in found.graphs[1:])
    assert answer > 10 * answer_kv  # four bits beside eight


def test_json_comes_back(diagnosis):
    content = json.loads(json.dumps(diagnosis.to_json()))
    assert Diagnosis.from_json(content) == diagnosis
    assert content["worst"][0] == diagnosis.worst(1)[0].label


def test_labels_are_the_checkpoints_names():
    noise = Fidelity(1, 1, 1, 1)
    assert LayerNoise("question", "text_encoder.encoder.layer.2.crossattention/scores", noise).label == (
        "question, layer 2, crossattention/scores"
    )
    assert LayerNoise("answer", "text_decoder.cls.predictions.decoder/matmul", noise).label == (
        "answer, cls.predictions.decoder"
    )


def test_tables_and_the_sentence_name_the_worst(diagnosis):
    graphs, layers = diagnosis_tables(diagnosis, 4)
    assert len(graphs.rows) == 5 and len(layers.rows) == 4
    worst = diagnosis.worst(1)[0]
    assert layers.rows[0][0] == worst.label and worst.label in summary(diagnosis)
    ratios = [layer.noise_to_signal for layer in diagnosis.worst()]
    assert ratios == sorted(ratios, reverse=True)


def test_the_chart_is_xml_with_a_description_and_all_layers(diagnosis):
    drawn = ElementTree.fromstring(layer_chart(diagnosis))
    text = ["".join(element.itertext()) for element in drawn.iter()]
    svg = "{http://www.w3.org/2000/svg}"
    assert drawn.get("role") == "img" and drawn.find(f"{svg}title") is not None
    assert diagnosis.worst(1)[0].label in drawn.find(f"{svg}desc").text
    dots = [circle for circle in drawn.iter(f"{svg}circle") if circle.find(f"{svg}title") is not None]
    assert len(dots) == len(diagnosis.worst())
    assert len([circle for circle in drawn.iter(f"{svg}circle") if circle.get("class") == "lc-ring"]) == NAMED
    assert "prefers-color-scheme: dark" in drawn.find(f"{svg}style").text and "http" not in "".join(text)
    heights = [float(circle.get("cy")) for circle in dots]
    assert min(heights) > 0 and max(heights) < float(drawn.get("viewBox").split()[3])


def test_the_command(bundle, tmp_path):
    said = CliRunner().invoke(
        app, ["diagnose", str(bundle), "--samples", "2", "--worst", "3", "-o", str(tmp_path / "d"), "--quiet"]
    )
    assert said.exit_code == 0, said.output
    assert "Most noise comes from " in said.stdout and "The worst 3 of" in said.stdout
    read = Diagnosis.from_json(json.loads((tmp_path / "d" / "diagnosis.json").read_text()))
    assert read.bundle == str(bundle)
    assert (tmp_path / "d" / "diagnosis.svg").read_text() == layer_chart(read) + "\n"


def test_what_cannot_be_diagnosed_is_refused(tiny_vqa, tiny_captioner, bundle):
    with pytest.raises(InputError, match="nothing in it is compressed"):
        diagnosed(tiny_vqa.bundle)
    with pytest.raises(BundleError, match="their weights differ"):
        diagnose_bundle(bundle, "demo:test", original=tiny_captioner.folder, show_progress=False)
    with pytest.raises(InputError, match="samples is 0"):
        DiagnoseOptions(samples=0)


def test_the_demo_is_diagnosed_as_its_scenes_are_answered(tmp_path):
    """The handover in 8 bits and the 8-bit word table are undone before layers are compared."""
    calibration = CalibrationOptions(samples=20)
    folder = optimize("demo", tmp_path / "b", recipe="int8", calibration=calibration, show_progress=False).folder
    graphs = {graph.graph: graph for graph in diagnosed(folder).graphs}
    assert {node.get_element_type() for node in ov.Core().read_model(folder / "question.xml").get_parameters()} >= {
        ov.Type.i8
    }
    assert "embeddings.word_embeddings" in {layer.part for layer in graphs["question"].layers}
    assert all(20 < layer.introduced.sqnr < 70 for graph in graphs.values() for layer in graph.layers)
    assert graphs["question"].chained.sqnr > 15
