"""Each heading of the page on troubleshooting is a message that blipvino really gives: every one is provoked here."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket

import httpx
import pytest
from checkpoint.loopback_hub import LoopbackHub, serve
from documentation.code_blocks import ROOT
from PIL import Image
from subjects import scene_image
from typer.testing import CliRunner

from blipvino import BlipRetriever, optimize
from blipvino.cli.main import app
from blipvino.demo import CHECKPOINT, RETRIEVAL_CHECKPOINT
from blipvino.errors import OverloadError
from blipvino.retrieval import update_index
from blipvino.retrieval.index_lock import writing
from blipvino.runtime.scheduling.scheduler import Scheduler
from blipvino.serve.app import create_app
from blipvino.serve.serve_settings import Place, ServeSettings

PAGE = ROOT / "docs/troubleshooting.md"
HEADINGS = [
    found["once"] or found["twice"]
    for found in re.finditer(r"^### (?:`` (?P<twice>.*) ``|`(?P<once>.*)`)$", PAGE.read_text(), re.MULTILINE)
]


def said(*arguments):
    """What a command is refused with."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code != 0
    return result.stderr if isinstance(result.exception, SystemExit) else str(result.exception)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder, with a photo, and no hub in reach."""
    monkeypatch.chdir(tmp_path)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    Image.fromarray(scene_image(0)).save("photo.jpg")
    return tmp_path


@pytest.fixture
def hub(monkeypatch):
    with serve(LoopbackHub({"me/private": {"main": CHECKPOINT}, "me/gated": {"main": CHECKPOINT}})) as started:
        monkeypatch.setenv("HF_ENDPOINT", started.url)
        started.tokens["me/private"] = "secret"
        started.gated.add("me/gated")
        yield started


PROVOKED = {}
"""A part of each heading, and the function that makes blipvino say it: given fixtures by name, and the folder."""


def provokes(part):
    """Register what provokes the message of a heading, by a part of that."""

    def register(function):
        PROVOKED[part] = function
        return function

    return register


@provokes("no such folder; give")
def _(get, here):
    return said("optimize", "nowhere", "-o", "bundle")


@provokes("was not found at")
def _(get, here):
    get("hub")
    return said("optimize", "me/nothing", "-o", "bundle")


@provokes("refused access")
def _(get, here):
    get("hub")
    return said("optimize", "me/private", "-o", "bundle")


@provokes("is gated")
def _(get, here):
    get("hub")
    return said("optimize", "me/gated", "-o", "bundle")


@provokes("no connection to")
def _(get, here):
    return said("optimize", "me/vqa", "-o", "bundle")


@provokes("HF_HUB_OFFLINE is set")
def _(get, here):
    get("monkeypatch").setenv("HF_HUB_OFFLINE", "1")
    return said("optimize", "me/vqa", "-o", "bundle")


def changed(here, **changes):
    """What is said of a copy of the demo's checkpoint with a changed config.json."""
    folder = shutil.copytree(CHECKPOINT, here / "checkpoint")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return said("optimize", folder, "-o", "bundle")


@provokes("is not supported")
def _(get, here):
    return changed(here, architectures=["BlipModel"])


@provokes("model_type")
def _(get, here):
    return changed(here, model_type="blip-2")


@provokes("only pytorch_model.bin")
def _(get, here):
    folder = shutil.copytree(CHECKPOINT, here / "checkpoint")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return said("optimize", folder, "-o", "bundle")


@provokes("no preprocessor_config")
def _(get, here):
    folder = shutil.copytree(CHECKPOINT, here / "checkpoint")
    (folder / "preprocessor_config.json").unlink()
    return said("optimize", folder, "-o", "bundle")


@provokes("neither a bundle")
def _(get, here):
    (here / "empty").mkdir()
    return said("selftest", "empty")


@provokes("is damaged")
def _(get, here):
    folder = shutil.copytree(get("small_bundles")["vqa"], here / "damaged")
    (folder / "vision.bin").write_bytes(b"damaged")
    return said("caption", folder, "photo.jpg")


@provokes("already holds a bundle")
def _(get, here):
    return said("optimize", "demo", "-o", get("small_bundles")["vqa"])


@provokes("so it is left alone")
def _(get, here):
    return said("optimize", "demo", "-o", here, "--force")


@provokes("captions only")
def _(get, here):
    return said("ask", get("tiny_captioner").bundle, "photo.jpg", "what is it?")


@provokes("generates none")
def _(get, here):
    return said("caption", get("small_bundles")["itm"], "photo.jpg")


@provokes("no such image file")
def _(get, here):
    return said("caption", get("small_bundles")["vqa"], "gone.jpg")


@provokes("no images in it")
def _(get, here):
    (here / "empty").mkdir()
    return said("caption", get("small_bundles")["vqa"], "empty")


@provokes("cannot be read as an image")
def _(get, here):
    (here / "noise.jpg").write_bytes(bytes(range(256)))
    return said("caption", get("small_bundles")["vqa"], "noise.jpg")


@provokes("1000 times the other")
def _(get, here):
    Image.new("RGB", (2002, 2)).save("line.png")
    return said("caption", get("small_bundles")["vqa"], "line.png")


@provokes("no recipe")
def _(get, here):
    return said("optimize", "demo", "-o", "bundle", "--recipe", "int2")


@provokes("--temperature")
def _(get, here):
    return said("caption", "bundle", "photo.jpg", "--temperature", "2")


@provokes("num_beams above 1")
def _(get, here):
    return said("caption", get("small_bundles")["vqa"], "photo.jpg", "--num-beams", 2, "--do-sample")


@provokes("of memory")
def _(get, here):
    bundle = get("small_bundles")["vqa"]
    get("monkeypatch").setattr("blipvino.runtime.components.memory_limit", lambda: 2**18)  # a small container's
    return said("caption", bundle, "photo.jpg", "--num-beams", 5)


@provokes("unknown source")
def _(get, here):
    return said("optimize", "demo", "-o", "bundle", "--calibration", "no-such-folder")


@provokes("BLIPVINO_ARITHMETIC")
def _(get, here):
    bundle = get("small_bundles")["vqa"]
    get("monkeypatch").setenv("BLIPVINO_ARITHMETIC", "int3")
    return said("caption", bundle, "photo.jpg")


def indexed(bundle):
    """An index of the photo."""
    update_index("photos.index", ["photos"], BlipRetriever.load(bundle))


@provokes("made by another bundle")
def _(get, here):
    (here / "photos").mkdir()
    indexed(get("small_bundles")["itm"])
    optimize(RETRIEVAL_CHECKPOINT, "other", recipe="none", show_progress=False)
    return said("search", "photos.index", "a star", "--bundle", "other")


@provokes("is writing it")
def _(get, here):
    (here / "photos").mkdir()
    indexed(get("small_bundles")["itm"])
    with writing(here / "photos.index"):
        return said("index", "-o", "photos.index")


@provokes("cannot listen")
def _(get, here):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        return said("serve", get("small_bundles")["vqa"], "--port", taken.getsockname()[1])


def answered(headers, **settings):
    """What a server answers by which no model is asked, so that none is loaded."""
    transport = httpx.ASGITransport(app=create_app(ServeSettings((Place("model", CHECKPOINT),), **settings)))

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.get("/v1/models", headers=headers)).json()["error"]["message"]

    return asyncio.run(ask())


@provokes("not called by this name")
def _(get, here):
    return answered({"Host": "photos.example.org"})


@provokes("no valid API key")
def _(get, here):
    return answered({}, keys=(b"digest",))


@provokes("are waiting already")
def _(get, here):
    with pytest.raises(OverloadError) as refusal:
        Scheduler(None, None, longest=0).submit([None])
    return str(refusal.value)


def heading_with(part):
    (found,) = [heading for heading in HEADINGS if part in heading]
    return found


def test_every_heading_is_provoked():
    assert sorted(map(heading_with, PROVOKED)) == sorted(HEADINGS)


@pytest.mark.parametrize("part", PROVOKED)
def test_it_is_said(part, request, here):
    heading = heading_with(part)
    message = " ".join(PROVOKED[part](request.getfixturevalue, here).removeprefix("blipvino: ").split())
    pattern = "".join(".+" if piece == "…" else re.escape(piece) for piece in re.split("(…)", heading))
    assert re.match(pattern, message), f"{message!r} is not {heading!r}"
