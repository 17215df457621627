"""The checkpoints under test and bundles of them, as fixtures."""

from __future__ import annotations

import importlib
import os
import secrets
from functools import partial

import pytest
from made_once import made_once, shared_folder
from object_store import make_bucket, object_store
from subjects import Subject, save_tiny

from blipvino import Recipe, optimize
from blipvino.checkpoint.architectures import QUESTION_ANSWERING
from blipvino.demo import CHECKPOINT, RETRIEVAL_CHECKPOINT
from blipvino.graphs.specs import graph_names
from blipvino.optimization.optimize import CalibrationOptions
from blipvino.recipe import WEIGHTS_INT8


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """The cache that commands take by themselves: one for all workers of this run, and not the user's."""
    before = os.environ.get("BLIPVINO_CACHE")
    os.environ["BLIPVINO_CACHE"] = str(shared_folder(tmp_path_factory, "blipvino-cache"))
    yield
    if before is None:
        del os.environ["BLIPVINO_CACHE"]
    else:
        os.environ["BLIPVINO_CACHE"] = before


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
    once = partial(made_once, tmp_path_factory, "demo-float")
    return Subject(CHECKPOINT, tmp_path_factory.mktemp("demo_work"), model, once)


@pytest.fixture(scope="session")
def tiny_retriever(tmp_path_factory):
    """A small random BlipForImageTextRetrieval whose vision is wider than its text."""
    folder, workspace = tmp_path_factory.mktemp("tiny_retriever"), tmp_path_factory.mktemp("tiny_retriever_work")
    vision = {"hidden_size": 60, "num_hidden_layers": 2}
    return Subject(folder, workspace, save_tiny(folder, "BlipForImageTextRetrieval", vision=vision, seed=3))


@pytest.fixture(scope="session")
def demo_retrieval(tmp_path_factory):
    """The packaged retrieval checkpoint."""
    transformers = importlib.import_module("transformers")
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    model = transformers.BlipForImageTextRetrieval.from_pretrained(RETRIEVAL_CHECKPOINT, dtype=torch.float32).eval()
    once = partial(made_once, tmp_path_factory, "demo-retrieval-float")
    return Subject(RETRIEVAL_CHECKPOINT, tmp_path_factory.mktemp("demo_retrieval_work"), model, once)


@pytest.fixture(scope="session", params=["tiny_retriever", "demo_retrieval"])
def retriever(request):
    """Each checkpoint for retrieval, in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session", params=["tiny_vqa", "tiny_captioner", "demo"])
def subject(request):
    """Each checkpoint in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session", params=["tiny_vqa", "demo"])
def answerer(request):
    """Each checkpoint that answers questions, in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def compressed(tiny_vqa, tmp_path_factory):
    """The tiny checkpoint's bundle with compressed weights, opened."""
    folder = tmp_path_factory.mktemp("report") / "weights"
    recipe = Recipe("mine", "weights alone", dict.fromkeys(graph_names(QUESTION_ANSWERING), WEIGHTS_INT8))
    return optimize(tiny_vqa.folder, folder, recipe=recipe, show_progress=False)


@pytest.fixture(scope="session")
def int8(tmp_path_factory):
    """The folder of the demo checkpoint's bundle in 8 bits, the answer graph in 4."""

    def make(folder):
        calibration = CalibrationOptions("demo", 30)
        optimize(CHECKPOINT, folder, recipe="int8-int4", calibration=calibration, show_progress=False)

    return made_once(tmp_path_factory, "demo-int8", make)


@pytest.fixture(scope="session")
def tiny_int8(tiny_vqa, tmp_path_factory):
    """The folder of the tiny checkpoint's bundle in 8 bits."""

    def make(folder):
        calibration = CalibrationOptions("demo", 8)
        optimize(tiny_vqa.folder, folder, recipe="int8", calibration=calibration, show_progress=False)

    return made_once(tmp_path_factory, "tiny-int8", make)


@pytest.fixture(scope="session")
def retrieval_int8(tmp_path_factory):
    """The folder of the embedded retrieval checkpoint's bundle in 8 bits."""

    def make(folder):
        calibration = CalibrationOptions("demo", 40)
        optimize(RETRIEVAL_CHECKPOINT, folder, recipe="int8", calibration=calibration, show_progress=False)

    return made_once(tmp_path_factory, "demo-retrieval-int8", make)


@pytest.fixture(scope="session")
def endpoint():
    """Of a server that speaks S3's protocol; the environment leads there."""
    with object_store() as url:
        yield url


@pytest.fixture
def bucket(endpoint):
    """An empty bucket."""
    return make_bucket(endpoint, f"bucket-{secrets.token_hex(6)}")
