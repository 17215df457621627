import fnmatch
import re
import tomllib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blipvino.demo.scenes import render, sample_scene
from blipvino.serve.page.page_routes import FILES
from blipvino.serve.page.sample_pictures import SAMPLES

ROOT = Path(__file__).parents[3]
LONGEST = 200
MODULES = sorted(FILES.glob("*.js"))
INDEX = (FILES / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/page.css", "/page/icon.svg", "/page/samples/0.png"])
def test_headers(client, path):
    response = client.get(path)
    assert response.status_code == 200
    policy = dict(each.strip().split(" ", 1) for each in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    assert not {"script-src", "style-src", "connect-src"} & set(policy)
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "camera=(self)" in response.headers["permissions-policy"]
    assert "no-store" not in response.headers["cache-control"]


def test_a_file_that_is_known_is_not_sent_again(client):
    tag = client.get("/page/main.js").headers["etag"]
    assert client.get("/page/main.js", headers={"If-None-Match": tag}).status_code == 304


def test_samples_are_pictures_of_the_shapes_world(client):
    for number in (0, SAMPLES - 1):
        sent = Image.open(BytesIO(client.get(f"/page/samples/{number}.png").content))
        assert np.array_equal(np.asarray(sent), render(sample_scene("test", number)))


@pytest.mark.parametrize(
    "path",
    [
        *(f"/page/samples/{number}.png" for number in (SAMPLES, -1, "x")),
        *("/page/", "/page/none.js", "/page/..%2fpage_routes.py", "/page/%2e%2e/page_routes.py"),
        *("/page/%00", "/page//etc/passwd"),
    ],
)
def test_nothing_else_is_sent(client, path):
    response = client.get(path)
    assert (response.status_code, set(response.json())) == (404, {"error"})


def test_the_page_is_only_read(client):
    assert client.post("/").status_code == 405
    assert client.post("/page/main.js").status_code == 405
    assert client.head("/").status_code == 200


def test_what_is_served_is_told(client):
    told = client.get("/v1/served").json()
    small, demo, finder = told["models"]
    assert (small["name"], small["compressed"], small["recipe"]) == ("small", True, "mine")
    assert (demo["name"], demo["compressed"], demo["recipe"]) == ("demo", False, "FP16")
    assert small["tasks"] == demo["tasks"] == ["caption", "answer", "rank"]
    assert small["checkpoint"] == demo["checkpoint"]
    assert 10**6 < small["bytes"] < demo["bytes"]
    assert (finder["name"], finder["tasks"]) == ("finder", ["embed", "match"])
    assert told["indexes"] == [{"name": "photos", "model": "finder", "photos": 5}]


def test_the_page_shows_as_many_samples_as_there_are():
    assert int(re.search(r'id="samples" data-count="(\d+)"', INDEX)[1]) == SAMPLES


def test_the_page_has_no_script_and_no_style_inside():
    """The content policy would refuse them."""
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", INDEX)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", INDEX))
    for module in MODULES:
        assert not re.search(r"\.style\b|innerHTML|outerHTML|insertAdjacentHTML|\beval\(", module.read_text()), module


@pytest.mark.parametrize("path", sorted(FILES.iterdir()), ids=lambda path: path.name)
def test_files(path):
    """Short, with nothing from elsewhere, and in the wheel."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert set(re.findall(r"https?://[^\s\"')]+", text)) <= {"http://www.w3.org/2000/svg"}
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["blipvino"]
    name = path.relative_to(ROOT / "src/blipvino").as_posix()
    assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def test_modules_import_what_is_there():
    for module in MODULES:
        for names, imported in re.findall(r"import (.+?) from \"\./(.+?)\";", module.read_text(encoding="utf-8")):
            source = (FILES / imported).read_text(encoding="utf-8")
            for name in re.findall(r"\w+", names) if names.startswith("{") else ():
                assert re.search(rf"export (async )?(function\*?|const|class) {name}\b", source), (module.name, name)
