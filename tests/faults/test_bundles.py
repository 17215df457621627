"""Bundles that are whole by their manifest, and yet wrong: the file that is wrong is named."""

import hashlib
import json
import shutil

import pytest
from subjects import EXACT, scene_image

from blipvino import (
    Blip,
    BundleError,
)


def resealed(bundle, folder, name, content):
    """A copy of a bundle with another content in a file, and a manifest to match."""
    shutil.copytree(bundle, folder)
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


NOT_OBJECTS = (b"", b"not JSON", b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 100_000)
WRONG_OBJECTS = (b"{}", b'{"model_type": "blip"}', b'{"size": 7}', b'{"image_std": 3}', b'{"do_resize": 0}')


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", NOT_OBJECTS)
def test_settings_that_are_no_object_are_named(tiny_captioner, tmp_path, name, content):
    with pytest.raises(BundleError, match=name.replace(".", r"\.")) as refused:
        Blip.load(resealed(tiny_captioner.bundle, tmp_path / "bundle", name, content))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("config.json", content) for content in WRONG_OBJECTS),
        *(("preprocessor_config.json", content) for content in WRONG_OBJECTS[2:]),  # the others leave all at default
        *(("tokenizer.json", content) for content in WRONG_OBJECTS),
    ],
)
def test_settings_of_another_kind_are_named(tiny_captioner, tmp_path, name, content):
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Blip.load(resealed(tiny_captioner.bundle, tmp_path / "bundle", name, content))


def test_a_tokenizer_of_another_model_is_named(tiny_captioner, tmp_path):
    tokenizer = json.loads((tiny_captioner.bundle / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    larger = {**tokenizer, "model": {**tokenizer["model"], "vocab": {**vocab, "extra": len(vocab)}}}
    foreign = resealed(tiny_captioner.bundle, tmp_path / "larger", "tokenizer.json", json.dumps(larger).encode())
    with pytest.raises(BundleError, match=r"tokenizer\.json.*not this model's"):
        Blip.load(foreign)


GRAPHS = (b"", b"no graph", b'<?xml version="1.0"?><net name="x" version="11"></net>', b"<net>" * 1000)


@pytest.mark.parametrize("content", GRAPHS)
@pytest.mark.parametrize("name", ["vision", "answer"])
def test_a_file_that_is_no_graph_is_named(tiny_captioner, tmp_path, name, content):
    blip = Blip.load(resealed(tiny_captioner.bundle, tmp_path / "bundle", f"{name}.xml", content), options=EXACT)
    with pytest.raises(BundleError, match=rf"{name}\.xml") as refused:
        blip.caption(scene_image(0))
    assert "\n" not in str(refused.value)


def test_another_graph_is_named(tiny_vqa, tmp_path):
    other = {end: (tiny_vqa.bundle / f"answer_kv.{end}").read_bytes() for end in ("xml", "bin")}
    folder = resealed(tiny_vqa.bundle, tmp_path / "half", "vision.xml", other["xml"])
    folder = resealed(folder, tmp_path / "whole", "vision.bin", other["bin"])
    with pytest.raises(BundleError, match=r"vision\.xml: not the graph vision: its inputs are source_states"):
        Blip.load(folder, options=EXACT).caption(scene_image(0))


def test_weights_that_are_cut_off_are_named(tiny_vqa, tmp_path):
    weights = (tiny_vqa.bundle / "vision.bin").read_bytes()
    folder = resealed(tiny_vqa.bundle, tmp_path / "bundle", "vision.bin", weights[:-1000])
    with pytest.raises(BundleError, match=r"vision\.xml"):
        Blip.load(folder, options=EXACT).caption(scene_image(0))
