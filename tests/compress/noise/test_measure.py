"""The noise of layers: a spoilt one is named, and what is not compressed is not in the list."""

from dataclasses import replace

import numpy as np
import openvino.opset13 as ops
import pytest

from blipvino import CompressionError
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.compress.calibration import prepare_calibration
from blipvino.compress.noise.measure import rank_layers
from blipvino.compress.weights import compress_weights
from blipvino.data import open_source, take
from blipvino.graphs.building import build_graph
from blipvino.progress import Reporter
from blipvino.recipe import WEIGHTS_INT8

SILENT = Reporter(show=False)

SPOILT = "vision_model.encoder.layers.1.mlp.fc1/matmul"


@pytest.fixture(scope="module")
def images(tiny_vqa):
    return prepare_calibration(take(open_source("demo:test"), 3, 0), tiny_vqa.blip.images, tiny_vqa.blip.texts, SILENT)


def ranked(subject, model, images):
    with load_checkpoint(subject.folder) as checkpoint:
        return rank_layers(checkpoint, {"vision": model}, images.images, SILENT)["vision"]


def in_8_bits(subject, graph="vision", treatment=WEIGHTS_INT8):
    with load_checkpoint(subject.folder) as checkpoint:
        return compress_weights(build_graph(checkpoint, graph), treatment)


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
