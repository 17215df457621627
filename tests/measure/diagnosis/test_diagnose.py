"""Diagnosing a bundle: the noise of its graphs is what running both models shows."""

from dataclasses import replace

import openvino as ov
import pytest
from diagnosis_subjects import diagnosed
from subjects import EXACT

from blipvino import Blip, BundleError, EngineOptions, InputError, find_recipe, optimize
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.data import open_source, take
from blipvino.graphs.building import build_graph
from blipvino.machine.host import VARIABLE
from blipvino.machine.number_formats import EXACT_SETTINGS
from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle
from blipvino.measure.report.diagnosis_tables import host_explanation
from blipvino.metrics.sqnr import Fidelity
from blipvino.optimization.optimize import CalibrationOptions


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


def test_graphs_are_as_far_apart_as_when_both_models_run(tiny_vqa, tiny_int8, diagnosis):
    with load_checkpoint(tiny_vqa.folder) as checkpoint:
        models = build_graph(checkpoint, "vision"), ov.Core().read_model(tiny_int8 / "vision.xml")
    compiled = [ov.Core().compile_model(model, "CPU", dict(EXACT_SETTINGS)) for model in models]
    vision = Fidelity()
    for sample in take(open_source("demo:test"), 3, 42, spread=True):
        pixels = tiny_vqa.blip.images.pixels([sample.image()])
        vision += Fidelity.of(*(model(pixels)[0] for model in compiled))
    question = question_error(tiny_vqa, Blip.load(tiny_int8, options=replace(EXACT, arithmetic="simulated")))
    graphs = {graph.graph: graph for graph in diagnosis.graphs}
    assert graphs["vision"].alone.sqnr == pytest.approx(vision.sqnr, abs=0.01)
    assert graphs["vision"].chained == graphs["vision"].alone  # nothing comes before it
    # At 3 dB, which is what random weights get here, a value that is rounded the other way makes tenths.
    assert graphs["question"].chained.sqnr == pytest.approx(question.sqnr, abs=0.3)
    assert graphs["question"].alone.sqnr > graphs["question"].chained.sqnr


@pytest.mark.parametrize("arithmetic", ["int8", "float", "simulated"])
def test_the_error_as_it_runs_here_is_that_of_the_kernels_that_run(tiny_vqa, tiny_int8, arithmetic, monkeypatch):
    monkeypatch.setenv(VARIABLE, arithmetic)
    found = diagnosed(tiny_int8)
    (question,) = (graph for graph in found.graphs if graph.graph == "question")
    error = question_error(tiny_vqa, Blip.load(tiny_int8, options=EngineOptions(threads=1)))
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


@pytest.mark.slow
def test_a_captioning_checkpoint(tiny_captioner, tmp_path):
    calibration = CalibrationOptions("demo", 4)
    recipe = find_recipe("int8-int4").with_group_size(16)
    folder = optimize(
        tiny_captioner.folder, tmp_path / "b", recipe=recipe, calibration=calibration, show_progress=False
    ).folder
    found = diagnosed(folder)
    assert [graph.graph for graph in found.graphs] == ["vision", "answer_kv", "answer"]
    answer_kv, answer = (max(layer.noise_to_signal for layer in graph.layers) for graph in found.graphs[1:])
    assert answer > 2 * answer_kv  # four bits beside eight, of activations too


def test_what_cannot_be_diagnosed_is_refused(tiny_vqa, tiny_captioner, tiny_int8):
    with pytest.raises(InputError, match="nothing in it is compressed"):
        diagnosed(tiny_vqa.bundle)
    with pytest.raises(BundleError, match="their weights differ"):
        diagnose_bundle(tiny_int8, "demo:test", original=tiny_captioner.folder, show_progress=False)
    with pytest.raises(InputError, match="samples is 0"):
        DiagnoseOptions(samples=0)


@pytest.mark.slow
def test_the_demo_is_diagnosed_as_its_scenes_are_answered(tmp_path):
    """The handover in 8 bits and the 8-bit word table are undone before layers are compared."""
    calibration = CalibrationOptions("demo", 20)
    folder = optimize("demo", tmp_path / "b", recipe="int8", calibration=calibration, show_progress=False).folder
    graphs = {graph.graph: graph for graph in diagnosed(folder).graphs}
    assert {node.get_element_type() for node in ov.Core().read_model(folder / "question.xml").get_parameters()} >= {
        ov.Type.i8
    }
    assert "embeddings.word_embeddings" in {layer.part for layer in graphs["question"].layers}
    assert all(20 < layer.introduced.sqnr < 70 for graph in graphs.values() for layer in graph.layers)
    assert graphs["question"].chained.sqnr > 15


def test_a_bundle_for_retrieval_is_diagnosed_on_captions(retrieval_int8):
    options = DiagnoseOptions(samples=3, arithmetic="simulated")
    diagnosis = diagnose_bundle(retrieval_int8, "demo:test", options, show_progress=False)
    assert [graph.graph for graph in diagnosis.graphs] == ["vision", "text_embedding", "match_kv", "match"]
    for graph in diagnosis.graphs:
        assert 10 < graph.alone.sqnr < 70
        assert graph.as_run is not None and graph.as_run.sqnr > 8
