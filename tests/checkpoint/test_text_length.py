"""How long texts become where nobody says, from a checkpoint's ``generation_config.json`` to its texts."""

import json
import os
import shutil

import pytest
from command_line import run
from PIL import Image
from subjects import EXACT, scene_image

from blipvino import Blip, CheckpointError, optimize
from blipvino.checkpoint.text_length import GENERATION_FILE, TextLength, parse_text_length
from blipvino.demo import CHECKPOINT
from blipvino.measure.opened import new_tokens


@pytest.mark.parametrize(
    ("content", "prompt_tokens", "expected"),
    [
        ({}, 1, 20),
        ({"max_new_tokens": None, "bos_token_id": 5}, 1, 20),
        ({"max_new_tokens": 24}, 4, 24),
        ({"max_length": 24}, 4, 20),
        ({"max_length": 24, "max_new_tokens": 7}, 4, 7),
        ({"max_length": 3}, 4, 1),
        ({"max_new_tokens": 500}, 4, 60),
    ],
)
def test_the_length_is_transformers(content, prompt_tokens, expected):
    assert parse_text_length(content, "here").new_tokens(prompt_tokens, positions=64) == expected


@pytest.mark.parametrize("value", [0, -1, 2.0, "20", True])
def test_what_is_no_length_is_refused(value):
    with pytest.raises(CheckpointError, match=r"here: generation_config\.json: max_length is .* positive integer"):
        parse_text_length({"max_length": value}, "here")


def copied(tiny_captioner, folder, **generation):
    """A copy of the checkpoint that says something of its texts."""
    shutil.copytree(tiny_captioner.folder, folder)
    path = folder / GENERATION_FILE
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | generation))
    return folder


def test_a_bundle_has_the_checkpoints_length(tiny_captioner, tmp_path):
    folder = copied(tiny_captioner, tmp_path / "checkpoint", max_new_tokens=3)
    bundle = optimize(folder, tmp_path / "bundle", recipe="none", show_progress=False)
    assert new_tokens(bundle, None) == 3 and new_tokens(bundle, 5) == 5
    blip, image = Blip.load(bundle, options=EXACT), scene_image(0)
    assert len(blip.caption_ids(image, min_new_tokens=3)[0]) == 1 + 3
    assert next(blip.caption_stream([image], min_new_tokens=3)) == blip.caption(image, max_new_tokens=3)
    assert len(blip.caption_ids(image, min_new_tokens=5, max_new_tokens=5)[0]) == 1 + 5


def test_a_bundle_of_before_has_the_default(tiny_captioner):
    bundle = tiny_captioner.blip.bundle
    length = tiny_captioner.blip.components.length
    assert length == TextLength() and new_tokens(bundle, None) == 20
    assert len(tiny_captioner.blip.caption_ids(scene_image(0), min_new_tokens=20)[0]) == 1 + 20


def test_a_checkpoint_whose_length_is_none_makes_no_bundle(tiny_captioner, tmp_path):
    folder = copied(tiny_captioner, tmp_path / "checkpoint", max_length="long")
    with pytest.raises(CheckpointError, match="max_length is 'long'"):
        optimize(folder, tmp_path / "bundle", recipe="none", show_progress=False)


def test_the_demo_models_captions_are_whole(int8, tmp_path):
    assert json.loads((CHECKPOINT / GENERATION_FILE).read_text())["max_new_tokens"] == 24
    Image.fromarray(scene_image(3)).save(tmp_path / "scene.png")
    wide = os.environ | {"COLUMNS": "200"}
    assert "the checkpoint's own" in run("caption", "--help", env=wide).stdout
    for given, expected in ((), "stop"), (("--max-new-tokens", 20), "length"):
        (row,) = json.loads(run("caption", int8, tmp_path / "scene.png", "--json", *given).stdout)
        assert row["finish_reason"] == expected
