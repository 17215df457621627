"""Captions on the command line."""

import json

import pytest
from command_line import run

from blipvino import Blip, EngineOptions
from blipvino.runtime.compiling.cache import default_cache

BAD = (0, 6, 19)
"""Those of `photos` that cannot be read."""


def test_a_bad_image_costs_its_own_caption_alone(bundle, photos, blip):
    process = run("caption", bundle, *photos, "--max-new-tokens", 40, code=3)
    good = [path for number, path in enumerate(photos) if number not in BAD]
    expected = [f"{path}: {text}" for path, text in zip(good, blip.caption(good, max_new_tokens=40), strict=True)]
    assert process.stdout.splitlines() == expected
    errors = process.stderr.splitlines()
    assert [photos[number].name in line for number, line in zip(BAD, errors, strict=False)] == [True] * 3
    assert "00.png: cannot be decoded (image file is truncated" in errors[0]
    assert "06.png: no images in it" in errors[1]
    assert "19.png: no such image file" in errors[2]
    assert errors[3:] == ["blipvino: 3 of 20 images could not be read"]


def test_json_has_a_row_for_every_image_and_errors_in_place(bundle, photos, blip):
    rows = json.loads(run("caption", bundle, *photos, "--json", code=3).stdout)
    assert [row["image"] for row in rows] == list(map(str, photos))
    assert [number for number, row in enumerate(rows) if "error" in row] == list(BAD)
    assert [number for number, row in enumerate(rows) if "caption" in row] == sorted(set(range(20)) - set(BAD))
    made = blip.caption(photos[1], return_details=True)
    assert rows[1] == {"image": str(photos[1]), "caption": made.text, "finish_reason": made.finish_reason}


@pytest.mark.parametrize("count", [5, 12])
def test_drawn_captions_are_those_of_the_library(bundle, photos, count):
    good = [path for number, path in enumerate(photos) if number not in BAD][:count]
    # By the commands' cache the library computes each graph the way they do; in float32 batches round alike.
    exact = Blip.load(bundle, options=EngineOptions(precision="f32", cache=default_cache()))
    drawn = run("caption", bundle, *good, "--do-sample", "--seed", 3, "--temperature", 3, "--precision", "f32").stdout
    expected = exact.caption(good, do_sample=True, seed=3, temperature=3.0, return_details=True)
    assert [line.split(": ", 1)[1].rstrip("…") for line in drawn.splitlines()] == [made.text for made in expected]
