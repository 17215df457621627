"""The checkpoints under test, as fixtures."""

from __future__ import annotations

import importlib

import pytest
from subjects import Subject, save_tiny

from blipvino.demo import CHECKPOINT


@pytest.fixture(scope="session")
def tiny_vqa(tmp_path_factory):
    """A small random BlipForQuestionAnswering."""
    folder, workspace = tmp_path_factory.mktemp("tiny_vqa"), tmp_path_factory.mktemp("tiny_vqa_work")
    return Subject(folder, workspace, save_tiny(folder, "BlipForQuestionAnswering", seed=7))


@pytest.fixture(scope="session")
def tiny_captioner(tmp_path_factory):
    """A small random BlipForConditionalGeneration whose vision is wider than its text, with patches of odd size."""
    folder, workspace = tmp_path_factory.mktemp("tiny_captioner"), tmp_path_factory.mktemp("tiny_captioner_work")
    vision = {"hidden_size": 60, "num_hidden_layers": 2, "image_size": 35, "patch_size": 7}
    model = save_tiny(folder, "BlipForConditionalGeneration", {"num_hidden_layers": 3}, vision, seed=0)
    return Subject(folder, workspace, model)


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The packaged demo checkpoint."""
    transformers = importlib.import_module("transformers")
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    model = transformers.BlipForQuestionAnswering.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    return Subject(CHECKPOINT, tmp_path_factory.mktemp("demo_work"), model)


@pytest.fixture(scope="session", params=["tiny_vqa", "tiny_captioner", "demo"])
def subject(request):
    """Each checkpoint in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session", params=["tiny_vqa", "demo"])
def answerer(request):
    """Each checkpoint that answers questions, in turn."""
    return request.getfixturevalue(request.param)
