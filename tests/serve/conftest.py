"""A server on a free port of this machine, with the demo's models and an index of scenes."""

from __future__ import annotations

import io
from functools import partial

import httpx
import pytest
from made_once import made_once
from PIL import Image
from running_server import running
from subjects import EXACT, scene_image

from blipvino import Blip, BlipRetriever, optimize
from blipvino.demo import CHECKPOINT, RETRIEVAL_CHECKPOINT
from blipvino.retrieval import update_index
from blipvino.serve.serve_settings import Place, ServeSettings


def uncompressed(checkpoint, folder):
    optimize(checkpoint, folder, recipe="none", show_progress=False)


@pytest.fixture(scope="session")
def served_bundle(tmp_path_factory):
    return made_once(tmp_path_factory, "demo-float", partial(uncompressed, CHECKPOINT))


@pytest.fixture(scope="session")
def retrieval_bundle(tmp_path_factory):
    return made_once(tmp_path_factory, "demo-retrieval-float", partial(uncompressed, RETRIEVAL_CHECKPOINT))


@pytest.fixture(scope="session")
def lone(served_bundle):
    """The same model, asked alone."""
    return Blip.load(served_bundle, options=EXACT)


@pytest.fixture(scope="session")
def lone_retriever(retrieval_bundle):
    return BlipRetriever.load(retrieval_bundle, options=EXACT)


@pytest.fixture(scope="session")
def photos_index(tmp_path_factory, lone_retriever):
    folder = tmp_path_factory.mktemp("serve-photos")
    for number in range(5):
        Image.fromarray(scene_image(number)).save(folder / f"{number}.png")
    index = tmp_path_factory.mktemp("serve-index") / "photos"
    update_index(index, [folder], lone_retriever)
    return index


@pytest.fixture(scope="session")
def settings(served_bundle, retrieval_bundle, photos_index):
    models = (Place("demo", served_bundle), Place("finder", retrieval_bundle))
    return ServeSettings(models, (Place("photos", photos_index),), engine=EXACT, port=0)


@pytest.fixture(scope="session")
def server(settings):
    with running(settings) as started:
        yield started


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


def file_of(number, form="PNG"):
    """A scene as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(scene_image(number)).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def files():
    """Five scenes as PNG files."""
    return [file_of(number) for number in range(5)]
