"""A bundle of the demo model as the command line makes it, and pictures to try it on."""

import pytest
from command_line import run
from made_once import made_once
from PIL import Image

from blipvino import Blip, EngineOptions
from blipvino.demo.scenes import render, sample_scene
from blipvino.runtime.compiling.cache import default_cache


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):

    def make(folder):
        run("optimize", "demo", "-o", folder, "--samples", 20, "--quiet")

    return made_once(tmp_path_factory, "demo-by-command", make)


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "scene.png"
    Image.fromarray(render(sample_scene("test", 2))).save(path)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Twenty scenes: the first is cut short, the seventh is a folder, the last is missing."""
    folder = tmp_path_factory.mktemp("many")
    paths = [folder / f"{number:02}.png" for number in range(20)]
    for number, path in enumerate(paths[:-1]):
        Image.fromarray(render(sample_scene("test", number))).save(path)
    paths[0].write_bytes(paths[0].read_bytes()[:200])
    paths[6].unlink()
    paths[6].mkdir()
    return paths


@pytest.fixture(scope="session")
def blip(bundle):
    return Blip.load(bundle, options=EngineOptions(cache=default_cache()))  # computed the way that commands do
