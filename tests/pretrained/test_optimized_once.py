"""Checkpoints that are optimized once: what is found again, what is made anew, and by how many processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkpoint.loopback_hub import LoopbackHub, serve

from blipvino import Blip, BlipvinoError, CheckpointError, InputError, find_recipe, open_bundle
from blipvino.bundle.manifest import MANIFEST_FILE
from blipvino.demo import CHECKPOINT, NAMES
from blipvino.optimization import optimize as optimizing
from blipvino.pretrained.bundle_cache import BundleCache
from blipvino.pretrained.optimized_once import Wanted, bundle_of

REPOSITORY = "tester/blip-tiny"
PLAIN = Wanted(recipe="none")


@pytest.fixture
def checkpoint(tiny_vqa, tmp_path):
    """A copy, which a test may change."""
    return Path(shutil.copytree(tiny_vqa.folder, tmp_path / "checkpoint"))


@pytest.fixture
def made(compressed, monkeypatch):
    """The sources that are optimized, in order. Each becomes a copy of one bundle, which takes no time."""
    sources = []

    def optimize(source, output, *, recipe, revision, overwrite, **_):
        sources.append(source)
        if overwrite:
            shutil.rmtree(output)
        shutil.copytree(compressed.folder, output)
        content = json.loads((output / MANIFEST_FILE).read_text())
        content["source"] |= {"name": source, "revision": revision}
        (output / MANIFEST_FILE).write_text(json.dumps(content))
        return open_bundle(output)

    monkeypatch.setattr(optimizing, "optimize", optimize)
    return sources


def quietly(source, cache, wanted=PLAIN):
    return bundle_of(source, wanted, cache=cache, show_progress=False)


def test_a_folder_is_optimized_once(checkpoint, made, tmp_path):
    first = quietly(checkpoint, tmp_path / "cache")
    second = quietly(str(checkpoint), tmp_path / "cache")
    assert len(made) == 1 and first.folder == second.folder
    assert first.folder.parent == tmp_path / "cache/bundles" and first.folder.name.startswith("checkpoint-none-")
    assert first.manifest.source.name == str(checkpoint)
    first.verify()


def test_another_recipe_and_another_state_are_other_bundles(checkpoint, made, tmp_path):
    cache = tmp_path / "cache"
    folders = {quietly(checkpoint, cache).folder}
    folders.add(quietly(checkpoint, cache, Wanted(recipe=find_recipe("none"))).folder)
    config = checkpoint / "config.json"
    config.write_text(config.read_text() + "\n")
    folders.add(quietly(checkpoint, cache).folder)
    assert len(folders) == len(made) == 3


def test_another_version_makes_it_anew(checkpoint, made, tmp_path, monkeypatch):
    quietly(checkpoint, tmp_path)
    monkeypatch.setattr("blipvino.pretrained.optimized_once.installed_version", lambda name: "another")
    quietly(checkpoint, tmp_path)
    assert len(made) == 2


def test_a_damaged_bundle_is_made_anew(checkpoint, made, tmp_path):
    folder = quietly(checkpoint, tmp_path).folder
    (folder / "vision.bin").write_bytes(b"cut off")
    quietly(checkpoint, tmp_path).verify()
    (folder / MANIFEST_FILE).unlink()
    quietly(checkpoint, tmp_path).verify()
    assert len(made) == 3


def test_a_bundle_is_itself(compressed, made):
    assert bundle_of(compressed.folder).folder == compressed.folder and not made
    with pytest.raises(InputError, match="is a bundle, made already"):
        bundle_of(compressed.folder, PLAIN)


def test_the_embedded_checkpoint_has_a_name(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle = quietly("demo", tmp_path)
    assert made == ["demo"] and bundle.manifest.source.name == "demo"
    assert bundle.folder.name.startswith("demo-none-")
    assert CHECKPOINT.is_dir()


def test_an_embedded_checkpoint_is_known_again_after_blipvino_was_installed_again(made, tmp_path, monkeypatch):
    embedded = Path(shutil.copytree(CHECKPOINT, tmp_path / "embedded"))
    monkeypatch.setitem(NAMES, "demo", embedded)
    first = quietly("demo", tmp_path / "cache")
    for file in embedded.iterdir():
        os.utime(file, (0, 0))
    assert quietly("demo", tmp_path / "cache").folder == first.folder and made == ["demo"]
    (embedded / "config.json").write_text((embedded / "config.json").read_text() + "\n")
    assert quietly("demo", tmp_path / "cache").folder != first.folder and made == ["demo", "demo"]


def test_what_is_neither_says_what_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for source, problem in {
        tmp_path / "empty": "neither a bundle",
        tmp_path / "file": "is a file",
        tmp_path / "missing": "no such folder",
        "~no-such-user/x": "can be no folder",
        "x" * 300: "can be no folder",
        "missing": "no such folder; expected a bundle, a checkpoint's folder, or a hub id",
        "out/missing": "is no folder here, so it was asked of the hub",
    }.items():
        with pytest.raises(CheckpointError, match=problem):
            quietly(source, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_folder_has_no_revision(checkpoint, tmp_path):
    with pytest.raises(InputError, match="has no revision 'main'"):
        quietly(checkpoint, tmp_path / "cache", Wanted("none", revision="main"))


def test_a_refused_checkpoint_leaves_nothing(checkpoint, tmp_path):
    (checkpoint / "config.json").write_text("{}")
    with pytest.raises(BlipvinoError):
        quietly(checkpoint, tmp_path / "cache")
    assert BundleCache(tmp_path / "cache").entries() == []


def test_a_model_is_loaded_in_one_line(tiny_vqa, tmp_path):
    options = {"recipe": "none", "cache": tmp_path, "show_progress": False}
    blip = Blip.from_pretrained(tiny_vqa.folder, **options)
    caption = blip.caption(tiny_vqa_image(), max_new_tokens=4)
    assert list(tmp_path.glob("*.blob"))  # compiled graphs are kept, too
    again = Blip.from_pretrained(tiny_vqa.folder, **options)
    assert again.bundle.manifest == blip.bundle.manifest
    assert again.caption(tiny_vqa_image(), max_new_tokens=4) == caption


def tiny_vqa_image():
    from PIL import Image

    return Image.new("RGB", (40, 30), (200, 30, 30))


# From a hub


@pytest.fixture
def hub(tiny_vqa, tiny_captioner, tmp_path, monkeypatch):
    folders = {"main": tiny_vqa.folder, "v2": tiny_captioner.folder}
    with serve(LoopbackHub({REPOSITORY: folders})) as running:
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setattr("time.sleep", lambda _: None)  # huggingface_hub waits a second before each retry
        yield running


def test_a_hub_is_asked_once_for_files_and_each_time_for_the_commit(hub, made, tmp_path):
    bundle = quietly(REPOSITORY, tmp_path / "cache")
    assert bundle.manifest.source.revision == hub.commit(REPOSITORY, "main")
    hub.requests.clear()
    assert quietly(REPOSITORY, tmp_path / "cache").folder == bundle.folder
    (request,) = hub.requests
    assert "/resolve/" not in request.path and len(made) == 1


def test_another_revision_is_another_bundle_and_another_name_of_one_is_not(hub, made, tmp_path):
    cache = tmp_path / "cache"
    first = quietly(REPOSITORY, cache)
    other = quietly(REPOSITORY, cache, Wanted("none", revision="v2"))
    moved = Wanted("none", revision="main")
    assert quietly(REPOSITORY, cache, moved).folder == first.folder and len(made) == 2
    assert other.folder != first.folder and other.manifest.source.revision == hub.commit(REPOSITORY, "v2")


@pytest.mark.parametrize("trouble", ["gone", "offline", "failing"])
def test_without_the_hub_the_last_commit_serves(hub, made, tmp_path, monkeypatch, trouble, capsys):
    bundle = quietly(REPOSITORY, tmp_path / "cache")
    shutil.rmtree(tmp_path / "home", ignore_errors=True)  # the checkpoint is not needed any more
    if trouble == "gone":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    elif trouble == "offline":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    else:
        hub.status = 503
    again = bundle_of(REPOSITORY, PLAIN, cache=tmp_path / "cache", show_progress=True)
    assert again.folder == bundle.folder and len(made) == 1
    assert f"going on with commit {bundle.manifest.source.revision[:8]}" in " ".join(capsys.readouterr().err.split())


def test_a_commit_needs_no_hub(hub, made, tmp_path, monkeypatch):
    commit = hub.commit(REPOSITORY, "main")
    bundle = quietly(REPOSITORY, tmp_path / "cache", Wanted("none", revision=commit))
    hub.requests.clear()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    again = quietly(REPOSITORY, tmp_path / "cache", Wanted("none", revision=commit))
    assert again.folder == bundle.folder and not hub.requests


@pytest.mark.parametrize("refusal", ["private", "unknown revision"])
def test_what_the_hub_refuses_is_refused(hub, tmp_path, refusal):
    quietly(REPOSITORY, tmp_path / "cache")
    revision = None
    if refusal == "private":
        hub.tokens[REPOSITORY] = "secret"
    else:
        revision = "v3"
    with pytest.raises(CheckpointError, match=r"refused access|has no revision 'v3'"):
        quietly(REPOSITORY, tmp_path / "cache", Wanted("none", revision=revision, token="wrong"))


# Several processes

LOAD = """
import sys
from blipvino.pretrained.optimized_once import Wanted, bundle_of
print("begun", flush=True)
print(bundle_of(sys.argv[1], Wanted("none"), cache=__import__("pathlib").Path(sys.argv[2])).folder)
"""


def started(checkpoint, cache):
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(checkpoint), str(cache)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_two_processes_one_makes_it_and_the_other_waits(checkpoint, tmp_path):
    both = [started(checkpoint, tmp_path) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len({out.splitlines()[-1] for out, _ in told}) == 1
    assert sum("is optimized once" in " ".join(errors.split()) for _, errors in told) == 1


@pytest.mark.slow
def test_a_killed_process_leaves_a_cache_that_the_next_one_uses(checkpoint, tmp_path):
    """Whenever it is killed: the lock is free then, and nothing half-written is taken for a bundle."""
    for delay in (0.0, 0.8):
        process = started(checkpoint, tmp_path)
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    bundle = quietly(checkpoint, tmp_path)
    bundle.verify()
    assert [entry.folder for entry in BundleCache(tmp_path).entries()] == [bundle.folder]
    left = {path.name for path in (tmp_path / "bundles").iterdir()} - {bundle.folder.name}
    assert left == {f".{bundle.folder.name}.lock"}


# Photos


def test_photos_that_are_given_are_calibrated_on_but_do_not_decide_what_is_found(checkpoint, tmp_path, monkeypatch):
    seen, asked = [], []

    def optimize(source, output, *, calibration, **_):
        seen.append(calibration)
        raise CheckpointError("enough")

    def photos():
        asked.append(True)
        return [tmp_path / "a.jpg"]

    monkeypatch.setattr(optimizing, "optimize", optimize)
    monkeypatch.setattr("blipvino.data.photographs.photo_source", lambda paths, reporter: list(paths))
    for source, wanted in ((checkpoint, Wanted("none", photos=photos)), ("demo", Wanted(photos=photos))):
        with pytest.raises(CheckpointError, match="enough"):
            quietly(source, tmp_path / "cache", wanted)
    assert seen[0].source == [tmp_path / "a.jpg"] and seen[1] is None and len(asked) == 1


def test_a_bundle_that_is_there_asks_for_no_photos(checkpoint, made, tmp_path):
    first = quietly(checkpoint, tmp_path)

    def never():
        raise AssertionError("photos were asked for")

    assert quietly(checkpoint, tmp_path, Wanted("none", photos=never)).folder == first.folder
