"""The page on a server with the demo's model, compressed and original, and an index of photos; and a browser."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from browsers import chromium, opened
from made_once import made_once
from running_server import running
from subjects import EXACT

from blipvino import Blip, Recipe, optimize
from blipvino.checkpoint.architectures import QUESTION_ANSWERING
from blipvino.demo import CHECKPOINT
from blipvino.graphs.specs import graph_names
from blipvino.recipe import WEIGHTS_INT8
from blipvino.serve.serve_settings import Place


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory):
    recipe = Recipe("mine", "weights alone", dict.fromkeys(graph_names(QUESTION_ANSWERING), WEIGHTS_INT8))

    def make(folder):
        optimize(CHECKPOINT, folder, recipe=recipe, show_progress=False, fit_confidence=False)

    return made_once(tmp_path_factory, "demo-weights-int8", make)


@pytest.fixture(scope="session")
def small(small_bundle):
    """The compressed model, asked alone."""
    return Blip.load(small_bundle, options=EXACT)


@pytest.fixture(scope="session")
def both_settings(settings, small_bundle):
    return replace(settings, models=(Place("small", small_bundle), *settings.models))


@pytest.fixture(scope="session")
def both(both_settings):
    """The URL of a server of both."""
    with running(both_settings) as started:
        yield started.url


@pytest.fixture
def client(both):
    with httpx.Client(base_url=both, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser, both):
    """The page, as a wide screen shows it."""
    with opened(browser, both, viewport={"width": 1280, "height": 800}) as shown:
        yield shown


@pytest.fixture
def picture(files):
    """A picture to give to the page."""
    return {"name": "first.png", "mimeType": "image/png", "buffer": files[0]}
