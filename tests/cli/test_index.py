"""`blipvino index` and `blipvino search`, from photos to a page."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from command_line import refused, run
from made_once import made_once
from PIL import Image

from blipvino.bundle.bundle import open_bundle
from blipvino.cli.main import app, main
from blipvino.demo.captions import caption
from blipvino.demo.scenes import render, sample_scene
from blipvino.errors import BlipvinoError
from blipvino.pretrained import optimized_once


@pytest.fixture(scope="session")
def cached(tmp_path_factory):
    """The option of a cache for compiled graphs, which all commands here share."""
    return ("--cache", tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def retrieval_bundle(tmp_path_factory):

    def make(folder):
        run("optimize", "demo-retrieval", "-o", folder, "--recipe", "none", "--quiet")

    return made_once(tmp_path_factory, "demo-retrieval-by-command", make)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Forty scenes and a file that is none."""
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(40):
        Image.fromarray(render(sample_scene("test", number))).save(folder / f"{number:02}.png")
    (folder / "bad.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="session")
def index(tmp_path_factory, retrieval_bundle, scenes, cached):
    """Made in a process of its own, which told of the bad file."""
    folder = tmp_path_factory.mktemp("index") / "photos.index"
    process = run("index", scenes, "-o", folder, "--bundle", retrieval_bundle, *cached, "--quiet", code=3)
    assert "Photos: 40 new, 1 cannot be read" in process.stdout
    assert "bad.jpg: cannot be read as an image" in process.stderr
    return folder


def in_process(capsys, *arguments):
    """What a command prints, run in this process; its exit status."""
    capsys.readouterr()
    before, sys.argv = sys.argv, ["blipvino", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    return ended.value.code or 0, capsys.readouterr()


def test_a_second_run_looks_at_nothing(index, capsys, cached):
    code, printed = in_process(capsys, "index", "-o", index, *cached, "--quiet", "--json")
    summary = json.loads(printed.out)
    assert (code, summary["unchanged"], summary["unreadable"], summary["photos"], summary["errors"]) == (
        3,
        40,
        1,
        40,
        [],
    )


def test_info_tells_what_an_index_holds(index, scenes, capsys):
    code, printed = in_process(capsys, "info", index)
    assert code == 0
    assert f"{index}: an index of 40 photos, 40 of them different, 1 that cannot be read" in printed.out
    assert f"folders: {scenes}\n" in printed.out
    told = json.loads(in_process(capsys, "info", index, "--json")[1].out)
    assert (told["counts"], told["folders"]) == ({"photos": 40, "images": 40, "unreadable": 1}, [str(scenes)])
    made = told["bundle"]
    bundle = f"{made['label']} of {made['checkpoint']}, in {made['source']}"
    assert f"looked at by: {bundle}; vectors of {told['width']} numbers" in printed.out.splitlines()


def test_what_is_searched_for_is_found(index, scenes, capsys, cached):
    found = {}
    for number in range(3):
        text = caption(sample_scene("test", number))
        code, printed = in_process(capsys, "search", index, text, "-k", 5, *cached, "--json")
        found[number] = json.loads(printed.out)
        assert (code, len(found[number])) == (0, 5)
        chances = [one["probability"] for one in found[number]]
        assert chances == sorted(chances, reverse=True)
    hits = [f"{number:02}.png" in [Path(one["path"]).name for one in rows] for number, rows in found.items()]
    assert sum(hits) >= 2


def test_a_photo_finds_itself(index, scenes, capsys, cached):
    code, printed = in_process(capsys, "search", index, "--image", scenes / "07.png", "-k", 1, *cached, "--json")
    assert (code, json.loads(printed.out)[0]["path"]) == (0, str(scenes / "07.png"))


def test_a_table_and_a_page_show_what_is_found(index, scenes, tmp_path, capsys, cached):
    page = tmp_path / "found.html"
    code, printed = in_process(capsys, "search", index, "a circle", "-k", 3, "--no-rerank", *cached)
    assert code == 0
    assert "similarity" in printed.out
    assert printed.out.count(".png") == 3
    code, printed = in_process(capsys, "search", index, "a circle", *cached, "--html", page)
    assert (code, page.as_uri() in printed.out) == (0, True)
    assert page.read_text().count("data:image/jpeg") == 10


@pytest.mark.parametrize(("text", "told"), [("a green triangle", True), ("a yellow circle", False)])
def test_a_text_that_fits_no_photo_is_told_of(index, tmp_path, capsys, cached, text, told):
    page = tmp_path / "found.html"
    code, printed = in_process(capsys, "search", index, text, *cached, "--html", page)
    assert (code, "seems to fit none" in printed.err, "seems to fit none" in page.read_text()) == (0, told, told)


def test_a_bundle_that_was_moved_is_given(index, retrieval_bundle, tmp_path, capsys, cached):
    elsewhere = tmp_path / "elsewhere"
    retrieval_bundle.rename(elsewhere)
    try:
        code, printed = in_process(capsys, "search", index, "a circle", *cached)
        assert (code, "say with --bundle where it is now" in printed.err) == (2, True)
        code, printed = in_process(capsys, "search", index, "a circle", "-b", elsewhere, *cached, "--json")
        assert (code, len(json.loads(printed.out))) == (0, 10)
    finally:
        elsewhere.rename(retrieval_bundle)


def test_the_bundle_of_a_checkpoint_is_made_again_when_the_cache_has_it_no_more(
    retrieval_bundle, scenes, tmp_path, capsys, monkeypatch
):
    made, own, cache, photos = [], tmp_path / "index", tmp_path / "cache", tmp_path / "photos"

    def optimized(source, wanted, place, reporter):
        made.append(place)
        return open_bundle(shutil.copytree(retrieval_bundle, place))

    monkeypatch.setattr(optimized_once, "_optimize", optimized)
    photos.mkdir()
    for number in range(2):
        shutil.copy(scenes / f"{number:02}.png", photos)
    given = ("-o", own, "--cache", cache, "--quiet")
    assert in_process(capsys, "index", photos, "-b", "demo-retrieval", *given)[0] == 0
    assert in_process(capsys, "index", *given)[0] == 0
    assert json.loads((own / "index.json").read_text())["bundle"]["source"] == "demo-retrieval"
    (place,) = made
    os.utime(place / "manifest.json", (0, 0))
    assert in_process(capsys, "search", own, "a circle", "--cache", cache)[0] == 0
    assert made == [place]
    assert (place / "manifest.json").stat().st_mtime > 0, "its use is not renewed"
    shutil.rmtree(cache)
    code, printed = in_process(capsys, "search", own, "a circle", "--cache", cache, "--json")
    assert (code, len(json.loads(printed.out)), made) == (0, 2, [place, place])


def test_a_checkpoint_of_another_kind_is_refused_before_it_is_optimized(tmp_path, monkeypatch):
    monkeypatch.setattr("blipvino.optimization.optimize.optimize", None)
    told = str(refused("index", tmp_path, "-o", tmp_path / "index", "--bundle", "demo", "--cache", tmp_path / "cache"))
    assert "such as Salesforce/blip-itm-base-coco, or demo-retrieval" in told


def test_a_folder_is_forgotten(retrieval_bundle, scenes, tmp_path, capsys, cached):
    own = tmp_path / "index"
    in_process(capsys, "index", scenes, "-o", own, "-b", retrieval_bundle, *cached, "--quiet")
    code, printed = in_process(capsys, "index", "-o", own, "--forget", scenes, "--json")
    assert (code, json.loads(printed.out)["forgotten"]) == (0, {str(scenes): 41})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "{index}"), "give a text"),
        (("search", "{index}", "--image", "a.png", "--rerank", "3"), "--rerank has no effect without a text"),
        (("search", "{index}", "x", "--no-rerank", "--rerank", "3"), "--rerank has no effect with --no-rerank"),
        (("search", "{index}", "x", "--open"), "has no effect without --html"),
        (("search", "{index}", "x", "--html", "none/page.html"), "none is not a folder"),
        (("search", "{index}", "x", "--html", "photo.jpg"), "photo.jpg: a page is an HTML file; give a name that ends"),
        (("search", "{index}", "x", "--no-cache", "--cache", "c"), "--cache has no effect with --no-cache"),
        (("index", "f", "-o", "{index}", "--forget", "g"), "one after the other"),
        (("index", "-o", "{index}", "--forget", "g", "--again"), "--again has no effect with --forget"),
    ],
)
def test_what_makes_no_sense_is_refused(index, arguments, message):
    with pytest.raises(BlipvinoError, match=re.escape(message)):
        app([part.format(index=index) for part in arguments], standalone_mode=False)


def test_what_is_no_index_is_refused_in_a_line(index, bundle, retrieval_bundle, scenes, tmp_path, capsys):
    for arguments, message in (
        (("search", tmp_path, "x"), "is no index of photos; make one with"),
        (("index", scenes, "-o", tmp_path / "new"), "no such index; make one with"),
        (("index", scenes, "-o", tmp_path / "new", "-b", bundle), "generates texts"),
        (("index", "-o", index, "-b", bundle), "generates texts"),
        (("index", tmp_path / "none", "-o", tmp_path / "new", "-b", retrieval_bundle, "--no-cache"), "no such folder"),
    ):
        code, printed = in_process(capsys, *arguments)
        assert (code, message in printed.err, printed.err.count("\n")) == (2, True, 1), printed.err
    assert not (tmp_path / "new").exists()
