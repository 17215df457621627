"""The demo as a page: both embedded models served on this machine, with pictures to try them on, and to search."""

from __future__ import annotations

import socket
from pathlib import Path

from PIL import Image

from blipvino.cli.given_bundle import bundle_folder
from blipvino.demo.scenes import render, sample_scene
from blipvino.errors import InputError
from blipvino.files.atomic import make_folder, write_png
from blipvino.pretrained.optimized_once import Wanted
from blipvino.progress import Reporter
from blipvino.retrieval import UpdateOptions, update_index
from blipvino.runtime.retriever import BlipRetriever
from blipvino.serve.serve_settings import Place, ServeSettings
from blipvino.serve.server import bound_socket

MODEL, RETRIEVER = "demo", "demo-retrieval"
ORIGINAL = f"{MODEL}-original"
PHOTOS = "photos"
SCENES = 60
"""Pictures of the test split, which training never showed."""
HOST, PORT = "127.0.0.1", 8000


def demo_settings(folder: Path, *, show_progress: bool = True) -> ServeSettings:
    """What the demo serves: its model compressed and as it was, and pictures in a folder with their index.

    Args:
        folder: for ``photos/`` and ``photos.index/``; what is there already is not made again.
        show_progress: on standard error.

    Raises:
        BlipvinoError: the folder cannot be written, or holds something else under these names.
    """
    reporter, quiet = Reporter(show_progress), not show_progress
    photos, index = folder / PHOTOS, folder / f"{PHOTOS}.index"
    _write_scenes(photos)
    compressed, retriever = (bundle_folder(Path(name), quiet=quiet) for name in (MODEL, RETRIEVER))
    original = bundle_folder(Path(MODEL), quiet=quiet, wanted=Wanted(recipe="none"))
    model = BlipRetriever.load(retriever, image_cache_bytes=0)
    update_index(index, [photos], model, source=RETRIEVER, options=UpdateOptions(reporter=reporter))
    models = (Place(MODEL, compressed), Place(ORIGINAL, original), Place(RETRIEVER, retriever))
    return ServeSettings(models, (Place(PHOTOS, index),), host=HOST)


def demo_socket(port: int | None) -> socket.socket:
    """A socket that listens on this machine alone.

    Args:
        port: to listen on; None takes the usual one, or where that is in use a free one.

    Raises:
        InputError: the port is in use, or none.
    """
    try:
        return bound_socket(HOST, PORT if port is None else port)
    except InputError:
        if port is not None:
            raise
    return bound_socket(HOST, 0)


def _write_scenes(folder: Path) -> None:
    """Pictures that are missing; those that are there keep their times, by which an index knows them."""
    make_folder(folder)
    for number in range(SCENES):
        path = folder / f"scene-{number:02}.png"
        if not path.is_file():
            write_png(path, Image.fromarray(render(sample_scene("test", number))))
