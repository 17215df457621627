"""The command line on the demo model: what a user types, what they see, and how mistakes are told."""

import json
import resource
import subprocess
import sys

import pytest
from PIL import Image

from blipvino.demo.scenes import render, sample_scene


def run(*arguments, code=0, **options):
    command = [sys.executable, "-m", "blipvino", *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert process.returncode == code, process.stderr
    return process


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "bundle"
    run("optimize", "demo", "-o", folder, "--samples", 20, "--quiet")
    return folder


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "scene.png"
    Image.fromarray(render(sample_scene("test", 2))).save(path)
    return path


@pytest.mark.parametrize("verb", ["optimize", "caption", "ask", "compare", "stress", "info", "cache", "demo"])
def test_every_verb_has_help_with_an_example(verb):
    assert "Example: blipvino " + verb in run(verb, "--help").stdout


def test_captions_and_answers_are_all_of_standard_output(bundle, photo):
    process = run("caption", bundle, photo)
    assert process.stdout.count("\n") == 1 and process.stdout.startswith("a ")
    assert run("ask", bundle, photo, "how many objects are there?").stdout.strip().isdigit()


def test_json_of_captions_and_answers(bundle, photo):
    captions = json.loads(run("caption", bundle, photo, photo, "--json").stdout)
    assert [row["image"] for row in captions] == [str(photo)] * 2
    assert captions[0]["caption"] == captions[1]["caption"] != ""
    answers = json.loads(run("ask", bundle, photo, "is there a cross?", "how many objects are there?", "--json").stdout)
    assert [row["question"] for row in answers] == ["is there a cross?", "how many objects are there?"]


def test_generation_options_reach_the_decoder(bundle, photo):
    short = run("caption", bundle, photo, "--max-new-tokens", 2).stdout
    assert len(short.split()) == 2
    drawn = [run("caption", bundle, photo, "--do-sample", "--seed", 5, "--temperature", 3).stdout for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_pictures_show_the_image_above_the_text(bundle, photo, tmp_path):
    run("caption", bundle, photo, "--picture", tmp_path / "caption.png")
    with Image.open(tmp_path / "caption.png") as picture:
        assert picture.height > picture.width > 96


def test_compare_prints_tables_and_writes_them(bundle, tmp_path):
    process = run(
        "compare", bundle, "--samples", 24, "--latency-samples", 2, "-o", tmp_path / "out", "--json", "--quiet"
    )
    printed = json.loads(process.stdout)
    assert printed == json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [size["name"] for size in printed["sizes"]] == ["vision", "text encoder", "text decoder"]
    assert all(size["rate"] > 1.5 for size in printed["sizes"])
    assert {row["task"] for row in printed["latencies"]} == {"captioning", "question answering"}
    assert printed["answers"][0]["count"] == 24
    assert len(list((tmp_path / "out").glob("picture-*.png"))) == 3


def test_info_shows_the_bundle_and_the_recipes(bundle):
    assert "every file whole" in run("info", bundle).stdout
    assert json.loads(run("info", bundle, "--json").stdout)["recipe"]["name"] == "int8"
    listed = [line.split(":")[0] for line in run("info").stdout.splitlines()]
    assert listed == ["int8", "int8-int4", "minmax", "none", "auto", "cache"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["info", "nowhere"], "no such folder"),
        (["optimize", "./nowhere", "-o", "out"], "nowhere"),
        (["optimize", "demo", "-o", "out", "--recipe", "int3"], "int8-int4"),
        (["optimize", "demo", "-o", "out", "--calibration", "nonsense:x"], "nonsense"),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    process = run(*arguments, code=2)
    last = process.stderr.strip().splitlines()[-1]
    assert last.startswith("blipvino: ") and says in last
    assert "Traceback" not in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_bad_inputs_to_a_bundle(bundle, photo, tmp_path):
    noise = tmp_path / "noise.jpg"
    noise.write_bytes(bytes(range(256)) * 8)
    assert "cannot be read as an image" in run("caption", bundle, noise, code=2).stderr
    assert "no such image file" in run("ask", bundle, tmp_path / "gone.png", "what?", code=2).stderr
    assert "empty" in run("ask", bundle, photo, " ", code=2).stderr
    assert "tokens" in run("ask", bundle, photo, "why " * 2500, code=2).stderr
    assert "temperature" in run("caption", bundle, photo, "--temperature", 0, code=2).stderr


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    def limit_file_size():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    process = run("optimize", "demo", "-o", tmp_path / "bundle", "--recipe", "none", code=2, preexec_fn=limit_file_size)
    assert "space" in process.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in run("--debug", "info", tmp_path / "nowhere", code=1).stderr
