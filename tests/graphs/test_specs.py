"""The table of graphs: whoever adds an entry from outside gets a graph that is optimized, saved, loaded and run."""

import json
import shutil

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from subjects import EXACT, scene_image

from blipvino import Blip, CheckpointError, InputError, find_recipe, open_bundle, optimize
from blipvino.bundle.bundle import graph_files
from blipvino.checkpoint.architectures import ARCHITECTURES, QUESTION_ANSWERING, RETRIEVAL, Architecture
from blipvino.graphs import layers as nn
from blipvino.graphs.specs import GRAPHS, GraphSpec, graph_names, groups, specs_of
from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle
from blipvino.optimization.optimize import CalibrationOptions
from blipvino.recipe import PTQ_INT8
from blipvino.runtime.compiling.bundled import run_selftest

TINTING, LOOKING = "BlipForTinting", "BlipForLooking"


def tint_graph(checkpoint):
    """The mean colour of an image, projected as a patch of that colour would be: ``[B, 3] -> [B, D]``."""
    config = checkpoint.config.vision
    pixels = nn.parameter([-1, config.image_size, config.image_size, 3], np.uint8, "pixels")
    mean = ops.reduce_mean(ops.divide(ops.convert(pixels, "f32"), nn.constant(255.0)), nn.integers(1, 2), False)
    patch = nn.Weights(checkpoint, "vision_model.embeddings.patch_embedding")
    weight = patch.array("weight", config.hidden_size, 3, config.patch_size, config.patch_size).sum(axis=(2, 3))
    tint = nn.affine(mean, weight, patch.array("bias", config.hidden_size), "tint_projection")
    return ov.Model([nn.output(tint, "tint")], [pixels], "tint")


def expected_tint(checkpoint, image):
    """The same in numpy."""
    weight = checkpoint.tensor("vision_model.embeddings.patch_embedding.weight").astype(np.float32).sum(axis=(2, 3))
    bias = checkpoint.tensor("vision_model.embeddings.patch_embedding.bias").astype(np.float32)
    return (image / np.float32(255)).mean(axis=(0, 1)) @ weight.T + bias


@pytest.fixture
def tinting(monkeypatch, tiny_captioner, tmp_path):
    """A checkpoint of a class that blipvino does not know, registered here: a captioner with a further graph."""
    spec = GraphSpec(
        "tint",
        tint_graph,
        does="finds the tint",
        group="vision",
        reads="pixels",
        inputs={"pixels": ("sources",)},
        outputs=frozenset({"tint"}),
        default=PTQ_INT8,
    )
    captioning = ARCHITECTURES["BlipForConditionalGeneration"]
    monkeypatch.setitem(GRAPHS, spec.name, spec)
    monkeypatch.setitem(
        ARCHITECTURES,
        TINTING,
        Architecture(TINTING, (*captioning.graphs, spec.name), captioning.text_models),
    )
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_captioner.folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [TINTING]}))
    return folder


@pytest.mark.parametrize("recipe", ["none", "int8"])
def test_a_graph_from_outside_is_optimized_and_run(tinting, tmp_path, recipe):
    from blipvino.checkpoint.tensors import load_checkpoint

    calibration = CalibrationOptions("demo", 6)
    optimize(tinting, tmp_path / "bundle", recipe=recipe, calibration=calibration, show_progress=False)
    bundle = open_bundle(tmp_path / "bundle")
    assert all(map(bundle.has, graph_files("tint")))
    assert bundle.manifest.recipe.treatments["tint"] == find_recipe(recipe).treatments["tint"]
    assert bundle.manifest.measurements.fp16_bytes["tint"] > 0

    blip = Blip.load(bundle, options=EXACT)
    pixels = blip.images.pixels([scene_image(0), scene_image(1)])
    made = blip.engine.run("tint", {"pixels": pixels})["tint"]
    with load_checkpoint(tinting) as checkpoint:
        expected = np.stack([expected_tint(checkpoint, image) for image in pixels])
    error = np.square(made - expected).sum() / np.square(expected).sum()
    assert error < (1e-5 if recipe == "none" else 1e-2)
    assert blip.caption(scene_image(0))  # what it was before it still is


@pytest.mark.slow
def test_a_graph_from_outside_is_tested_and_diagnosed(tinting, tmp_path):
    bundle = optimize(tinting, tmp_path / "bundle", calibration=CalibrationOptions("demo", 6), show_progress=False)
    report = run_selftest(bundle, EXACT)
    assert report.passed
    assert "tint" in [verdict.graph for verdict in report.verdicts]
    diagnosis = diagnose_bundle(bundle.folder, "demo:test", DiagnoseOptions(samples=2), show_progress=False)
    found = {graph.graph: graph for graph in diagnosis.graphs}
    assert [layer.node for layer in found["tint"].layers] == ["tint_projection/matmul"]


def test_every_architecture_has_known_graphs_in_an_order_in_which_they_can_run():
    for architecture in ARCHITECTURES.values():
        for place, name in enumerate(architecture.graphs):
            keys_from = GRAPHS[name].keys_from
            assert keys_from is None or keys_from in architecture.graphs[:place]


def test_a_class_without_graphs_is_refused_with_those_that_have_some(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, LOOKING, Architecture(LOOKING, (), ("text_encoder",)))
    with pytest.raises(CheckpointError, match="BlipForLooking checkpoints cannot be optimized; expected"):
        graph_names(LOOKING)
    with pytest.raises(CheckpointError, match="BlipForSomething"):
        specs_of("BlipForSomething")


def test_groups_are_the_tutorials_models():
    assert groups(QUESTION_ANSWERING) == {
        "vision": ("vision",),
        "text encoder": ("question_kv", "question"),
        "text decoder": ("answer_kv", "answer"),
    }
    assert groups(RETRIEVAL) == {
        "vision": ("vision", "image_embedding"),
        "text encoder": ("text_embedding", "match_kv", "match"),
    }


def pooled_graph(checkpoint):
    """The mean of an image's embeddings, through the vision model's first projection: ``[B, S, D] -> [B, D]``."""
    width = checkpoint.config.vision.hidden_size
    embeds = nn.parameter([-1, -1, width], np.float32, "image_embeds")
    mean = ops.reduce_mean(embeds, nn.integers(1), False)
    weights = nn.Weights(checkpoint, "vision_model.encoder.layers.0.self_attn.projection")
    return ov.Model([nn.output(nn.linear(mean, weights, width, width), "pooled")], [embeds], "pooled")


def words_graph(checkpoint):
    """The sum of a text's words in the first query projection: ``[R, T] -> [R, 1, D]``."""
    config = checkpoint.config.text
    input_ids = nn.parameter([-1, -1], np.int64, "input_ids")
    attention_mask = nn.parameter([-1, -1], np.int64, "attention_mask")
    weights = nn.Weights(checkpoint, "text_encoder")
    table = weights.array("embeddings.word_embeddings.weight", config.vocab_size, config.hidden_size)
    words = ops.gather(nn.constant(table), input_ids, nn.constant(0, np.int64))
    query = weights / "encoder.layer.0.attention.self.query"
    made = nn.linear(words, query, config.hidden_size, config.hidden_size)
    mask = ops.unsqueeze(ops.convert(attention_mask, "f32"), nn.integers(1))
    made = nn.output(ops.matmul(mask, made, False, False), "words")
    return ov.Model([made], [input_ids, attention_mask], "words")


FURTHER = (
    GraphSpec(
        *("pooled", pooled_graph, "pools", "vision", "image_embeds", {"image_embeds": ("sources", "positions")}),
        *(frozenset({"pooled"}), PTQ_INT8),
    ),
    GraphSpec(
        *("words", words_graph, "reads words", "text encoder", "questions"),
        {"input_ids": ("rows", "tokens"), "attention_mask": ("rows", "tokens")},
        *(frozenset({"words"}), PTQ_INT8),
    ),
)


@pytest.mark.parametrize("recipe", ["none", "int8"])
def test_a_class_without_a_decoder_is_optimized_tested_and_diagnosed(monkeypatch, tiny_vqa, tmp_path, recipe):
    """As a retrieval model would be: nothing in it generates text, and nothing makes question states."""
    for spec in FURTHER:
        monkeypatch.setitem(GRAPHS, spec.name, spec)
    names = ("vision", *(spec.name for spec in FURTHER))
    monkeypatch.setitem(ARCHITECTURES, LOOKING, Architecture(LOOKING, names, ("text_encoder",)))
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_vqa.folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [LOOKING]}))
    calibration = CalibrationOptions("demo", 6)
    bundle = optimize(folder, tmp_path / "bundle", recipe=recipe, calibration=calibration, show_progress=False)

    report = run_selftest(bundle, EXACT)
    assert [verdict.graph for verdict in report.verdicts] == list(names)
    assert report.passed
    blip = Blip.load(bundle, options=EXACT)
    embeds = blip.features(scene_image(0)).image_embeds
    assert blip.engine.run("pooled", {"image_embeds": embeds[None]})["pooled"].shape == (1, embeds.shape[1])
    ids = np.array([blip.texts.question("is there a red ring?")])
    alone = blip.engine.run("words", {"input_ids": ids, "attention_mask": np.ones_like(ids)})["words"]
    padded = {"input_ids": np.pad(ids, ((0, 0), (0, 3))), "attention_mask": np.pad(np.ones_like(ids), ((0, 0), (0, 3)))}
    np.testing.assert_allclose(blip.engine.run("words", padded)["words"], alone, atol=1e-4)
    with pytest.raises(InputError, match="this model has no graph answer"):
        blip.caption(scene_image(0))
    if recipe == "int8":
        diagnosis = diagnose_bundle(bundle, "demo:test", DiagnoseOptions(samples=2), show_progress=False)
        assert [graph.graph for graph in diagnosis.graphs] == list(names)


def test_a_graph_is_run_on_its_own_inputs_alone(demo):
    engine = demo.blip.engine
    with pytest.raises(InputError, match="this model has no graph nope, which this needs, only vision, question_kv"):
        engine.run("nope", {})
    with pytest.raises(InputError, match="vision reads pixels, found nothing"):
        engine.run("vision", {})
    with pytest.raises(InputError, match=r"vision: pixels is \[1, 5, 5, 3\], expected \[\?,96,96,3\]"):
        engine.run("vision", {"pixels": np.zeros((1, 5, 5, 3), np.uint8)})
