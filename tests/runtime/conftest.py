"""Images in every form, and engines whose calls are counted."""

from __future__ import annotations

import pytest
from pictures import png
from PIL import Image
from subjects import scene_image

SCENES = 4


@pytest.fixture
def count(monkeypatch):
    """Record the number of sources of every call of one of an engine's functions."""

    def count_calls(blip, name):
        calls, original = [], getattr(blip.engine, name)
        monkeypatch.setattr(blip.engine, name, lambda array: calls.append(len(array)) or original(array))
        return calls

    return count_calls


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Each scene in every form that an image has."""
    folder = tmp_path_factory.mktemp("scenes")
    every = []
    for index in range(SCENES):
        array, path = scene_image(index), folder / f"{index}.png"
        path.write_bytes(png(array))
        every.append([array, Image.fromarray(array), png(array), path, str(path)])
    return every
