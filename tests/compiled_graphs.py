"""Graphs of a checkpoint, compiled in float32 and run beside the transformers modules that they stand for."""

import numpy as np
import openvino as ov

from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.graphs.building import build_graph

TOLERANCE = 1e-4
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "INFERENCE_NUM_THREADS": 1}


def compile_graph(folder, name, shapes=None):
    """A graph of a checkpoint, compiled; with static shapes where they are given."""
    with load_checkpoint(folder) as checkpoint:
        model = build_graph(checkpoint, name)
        if shapes is not None:
            model.reshape({port: ov.PartialShape(shape) for port, shape in shapes.items()})
        return ov.Core().compile_model(model, "CPU", EXACT)


def assert_close(found, expected):
    """Within `TOLERANCE` of the oracle, relative to its largest value; an oracle that says nothing does not count."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    assert expected.std() > 1e-3
    assert np.abs(found - expected).max() / np.abs(expected).max() < TOLERANCE


def run(compiled, inputs):
    """One inference: outputs by name."""
    results = compiled.create_infer_request().infer(inputs)
    return {port.get_any_name(): np.array(value) for port, value in results.items()}


def random_states(config, batch, length, seed=0):
    """Sources of a cross-attention, of the size that layer norms leave."""
    return np.random.default_rng(seed).standard_normal((batch, length, config.encoder_hidden_size), dtype=np.float32)


def random_tokens(config, rows, length, seed=0):
    """Token ids, none of them padding."""
    return np.random.default_rng(seed).integers(1, config.vocab_size, (rows, length))
