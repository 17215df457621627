"""A world for the blocks of a page, with checkpoints so small that they are optimized in a second."""

from __future__ import annotations

import pytest
from checkpoint.loopback_hub import LoopbackHub, serve
from documentation.repeated_work import Kept
from documentation.world import HUB, World
from made_once import shared_folder
from subjects import save_tiny

from blipvino import CalibrationOptions, optimize
from blipvino.demo import NAMES

CLASSES = {"vqa": "BlipForQuestionAnswering", "itm": "BlipForImageTextRetrieval"}
WIDTH = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}  # what 64 weights to a scale divide


@pytest.fixture(scope="session")
def small_checkpoints(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(f"documentation-{name}") for name in CLASSES}
    for name, folder in folders.items():
        save_tiny(folder, CLASSES[name], WIDTH, WIDTH, seed=7)
    return folders


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    return Kept(shared_folder(tmp_path_factory, "documentation-kept"))


@pytest.fixture(scope="session")
def small_bundles(small_checkpoints, kept, tmp_path_factory):
    place, calibration = tmp_path_factory.mktemp("documentation-bundles"), CalibrationOptions("demo", 8)
    with pytest.MonkeyPatch.context() as patch:
        kept.install(patch)
        return {
            name: optimize(folder, place / name, calibration=calibration, show_progress=False).folder
            for name, folder in small_checkpoints.items()
        }


@pytest.fixture(scope="session")
def small_hub(small_checkpoints, tmp_path_factory):
    """A hub on the loopback interface that has small checkpoints under the names of published ones."""
    storage = tmp_path_factory.mktemp("documentation-hub")
    repositories = {name: {"main": small_checkpoints[which]} for name, which in HUB.items()}
    with serve(LoopbackHub(repositories, storage=storage)) as started:
        yield started


@pytest.fixture(scope="session")
def blocks_cache(tmp_path_factory):
    """A cache of their own: what is optimized on eight samples is nothing for other tests."""
    return tmp_path_factory.mktemp("documentation-cache")


@pytest.fixture
def world(small_hub, small_checkpoints, small_bundles, kept, blocks_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("BLIPVINO_CACHE", str(blocks_cache))
    kept.install(monkeypatch)
    monkeypatch.setattr("blipvino.optimization.optimize.DEMO_TEXTS", 25)  # that the demo's confidence is fitted on
    monkeypatch.setitem(NAMES, "demo", small_checkpoints["vqa"])
    monkeypatch.setitem(NAMES, "demo-retrieval", small_checkpoints["itm"])
    source, _, seed = CalibrationOptions.__init__.__defaults__
    monkeypatch.setattr(CalibrationOptions.__init__, "__defaults__", (source, 8, seed))  # samples: 300 take a minute
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_HUB_CACHE",
        "DISPLAY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", small_hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    # transformers reads these once, when it is imported
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", small_hub.url)
    template = small_hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = World(folder, small_checkpoints, small_bundles)
    yield made
    made.close()
