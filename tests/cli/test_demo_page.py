"""The demo as a page."""

import socket
import sys
from functools import partial

import httpx
import pytest
from command_line import refused
from made_once import made_once
from running_server import base64_of, running
from subjects import EXACT
from typer.testing import CliRunner

from blipvino import Blip, optimize
from blipvino.cli import demo, demo_page
from blipvino.cli.main import app
from blipvino.demo import CHECKPOINT, RETRIEVAL_CHECKPOINT
from blipvino.errors import InputError


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Bundles of the demo's checkpoints, made in a second: whichever recipe is asked for, nothing is compressed."""
    checkpoints = {"demo": CHECKPOINT, "demo-retrieval": RETRIEVAL_CHECKPOINT}
    return {
        name: made_once(tmp_path_factory, f"{name}-float", partial(uncompressed, checkpoint))
        for name, checkpoint in checkpoints.items()
    }


def uncompressed(checkpoint, folder):
    optimize(checkpoint, folder, recipe="none", show_progress=False)


@pytest.fixture
def served(bundles, tmp_path, monkeypatch):
    """What the demo serves, with pictures in the test's folder."""
    monkeypatch.setattr(demo_page, "bundle_folder", lambda given, **_options: bundles[str(given)])
    monkeypatch.setattr(demo_page, "SCENES", 12)
    return lambda: demo_page.demo_settings(tmp_path / "out", show_progress=False)


def test_the_page_is_served_with_models_and_pictures_to_search(served, bundles, tmp_path):
    settings = served()
    files = sorted((tmp_path / "out/photos").iterdir())
    assert len(files) == 12
    with running(settings) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert "<title>" in client.get("/").text
        told = client.get("/v1/served").json()
        assert [model["name"] for model in told["models"]] == ["demo", "demo-original", "demo-retrieval"]
        assert told["indexes"] == [{"name": "photos", "model": "demo-retrieval", "photos": 12}]
        said = client.post("/v1/caption", json={"images": [base64_of(files[3].read_bytes())]}).json()
        assert said["results"][0]["text"] == Blip.load(bundles["demo"], options=EXACT).caption(files[3])


def test_a_second_time_the_pictures_stay_as_they_are(served, tmp_path):
    served()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/photos").iterdir()}
    one = next(iter(before))
    one.unlink()
    served()
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/photos").iterdir()}
    assert set(after) == set(before) and after.pop(one) and all(before[path] == when for path, when in after.items())


def test_the_usual_port_or_a_free_one_is_taken_but_a_port_that_was_asked_for_is_not_replaced(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(demo_page, "PORT", port)
        with demo_page.demo_socket(None) as free:
            assert free.getsockname()[1] not in (0, port)
        with pytest.raises(InputError, match="cannot listen"):
            demo_page.demo_socket(port)
    with demo_page.demo_socket(None) as usual:
        assert usual.getsockname() == ("127.0.0.1", port)


@pytest.mark.parametrize(("options", "opened"), [((), 1), (("--open",), 1), (("--no-open",), 0)])
def test_a_browser_is_shown_the_page(options, opened, monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(demo, "open_address", shown.append)
    monkeypatch.setattr(demo, "run_server", lambda settings, listening, show: show("the URL") or listening.close() or 0)
    monkeypatch.setattr(demo_page, "demo_settings", lambda folder, **_options: folder)
    said = CliRunner().invoke(app, ["demo", "--serve", "--port", "0", "-o", str(tmp_path / "out"), *options])
    assert said.exit_code == 0, said.output
    assert shown == ["the URL"] * opened
    assert f"Pictures to try it on are in {tmp_path / 'out/photos'}" in said.stderr


@pytest.mark.parametrize("option", [("--json",), ("--samples", "3"), ("--recipe", "int8"), ("--no-full-size",)])
def test_what_has_no_effect_on_a_page_is_refused(option):
    name = "--full-size" if option == ("--no-full-size",) else option[0]
    assert str(refused("demo", "--serve", *option)).startswith(f"{name} has no effect with --serve")


def test_a_port_without_a_page_is_refused():
    assert "--port has no effect without --serve" in str(refused("demo", "--port", "80"))


def test_a_server_that_is_not_installed_is_said_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "a server needs uvicorn" in str(refused("demo", "--serve"))
