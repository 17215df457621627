"""Models of the demo checkpoint, by both libraries."""

from __future__ import annotations

import importlib

import pytest
from subjects import scene_image, scene_questions

from blipvino.hf import OVBlipForConditionalGeneration, OVBlipForQuestionAnswering

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


@pytest.fixture(scope="session")
def processor(demo):
    """transformers' processor of the demo."""
    return importlib.import_module("transformers").AutoProcessor.from_pretrained(demo.folder)


@pytest.fixture(scope="session")
def answerer_model(demo):
    """Ours, for answers."""
    return OVBlipForQuestionAnswering.from_pretrained(demo.bundle, ov_config=EXACT, compile=False)


@pytest.fixture(scope="session")
def captioner_model(demo):
    """Ours, for captions."""
    return OVBlipForConditionalGeneration.from_pretrained(demo.bundle, ov_config=EXACT, compile=False)


@pytest.fixture(scope="session")
def captioner_oracle(demo):
    """transformers', for captions."""
    transformers = importlib.import_module("transformers")
    torch = importlib.import_module("torch")
    return transformers.BlipForConditionalGeneration.from_pretrained(demo.folder, dtype=torch.float32).eval()


@pytest.fixture(scope="session")
def pictures():
    """A few scenes."""
    return [scene_image(index) for index in range(4)]


@pytest.fixture(scope="session")
def asked():
    """A question about each, of several lengths."""
    return [scene_questions(index)[index] for index in range(4)]
