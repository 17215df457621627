"""The command line on the demo model: what a user types, what they see, and how mistakes are told."""

import json
import resource
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from blipvino import Blip
from blipvino.cli import app
from blipvino.demo.scenes import render, sample_scene
from blipvino.describing import split_inputs
from blipvino.errors import InputError
from blipvino.host import choose_arithmetic


def run(*arguments, code=0, **options):
    command = [sys.executable, "-m", "blipvino", *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert process.returncode == code, process.stderr
    return process


def refused(*arguments):
    """The error that a command is refused with, without the seconds that a process takes to start."""
    with pytest.raises(InputError) as refusal:
        app([*map(str, arguments)], standalone_mode=False)
    return refusal.value


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
    assert listed == ["int8", "int8-int4", "minmax", "none", "auto", "this machine", "cache"]
    told = run("info", bundle, "--json").stdout
    assert json.loads(told)["here"] == asdict(choose_arithmetic())
    assert choose_arithmetic().reason in run("info", bundle).stdout


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


# Many images


@pytest.fixture(scope="module")
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


BAD = (0, 6, 19)


@pytest.fixture(scope="module")
def blip(bundle):
    return Blip.load(bundle)


def test_a_bad_image_costs_its_own_caption_alone(bundle, photos, blip):
    process = run("caption", bundle, *photos, "--max-new-tokens", 40, code=3)
    good = [path for number, path in enumerate(photos) if number not in BAD]
    expected = [f"{path}: {text}" for path, text in zip(good, blip.caption(good, max_new_tokens=40), strict=True)]
    assert process.stdout.splitlines() == expected
    errors = process.stderr.splitlines()
    assert [photos[number].name in line for number, line in zip(BAD, errors, strict=False)] == [True] * 3
    assert "00.png: cannot be decoded (image file is truncated" in errors[0]
    assert "06.png: is a folder" in errors[1]
    assert "19.png: no such image file" in errors[2]
    assert errors[3:] == ["blipvino: 3 of 20 images could not be read"]


def test_json_has_a_row_for_every_image_and_errors_in_place(bundle, photos, blip):
    rows = json.loads(run("caption", bundle, *photos, "--json", code=3).stdout)
    assert [row["image"] for row in rows] == list(map(str, photos))
    assert [number for number, row in enumerate(rows) if "error" in row] == list(BAD)
    assert [number for number, row in enumerate(rows) if "caption" in row] == sorted(set(range(20)) - set(BAD))
    made = blip.caption(photos[1], return_details=True)
    assert rows[1] == {"image": str(photos[1]), "caption": made.text, "finish_reason": made.finish_reason}


@pytest.mark.parametrize("count", [5, 12])
def test_drawn_captions_are_those_of_the_library(bundle, photos, blip, count):
    good = [path for number, path in enumerate(photos) if number not in BAD][:count]
    drawn = run("caption", bundle, *good, "--do-sample", "--seed", 3, "--temperature", 3).stdout.splitlines()
    expected = blip.caption(good, do_sample=True, seed=3, temperature=3.0, return_details=True)
    assert [line.split(": ", 1)[1].rstrip("…") for line in drawn] == [made.text for made in expected]


def test_captions_appear_as_they_are_made(bundle, tmp_path):
    """All of a long list is not waited for: the last image is a file that is there only once captions were read."""
    late, scene = tmp_path / "late.png", Image.fromarray(render(sample_scene("test", 2)))
    (tmp_path / "scene.png").touch()
    scene.save(tmp_path / "scene.png")
    command = [sys.executable, "-m", "blipvino", "caption", bundle, *[tmp_path / "scene.png"] * 200, late]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    scene.save(late)
    rest = process.stdout.read().splitlines()
    assert process.wait() == 0
    assert len(rest) == 200
    assert first.startswith(str(tmp_path / "scene.png"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_json_of_stopped_work_has_what_was_done(bundle, photo, number, status):
    command = [sys.executable, "-m", "blipvino", "caption", bundle, "missing.png", *[photo] * 5000, "--json"]
    command += ["--min-new-tokens", "40", "--max-new-tokens", "40"]  # minutes of work: it is not done before the signal
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert "missing.png" in process.stderr.readline()  # told when the first captions are
    process.send_signal(number)
    output, _ = process.communicate()
    assert process.returncode == status
    rows = json.loads(output)
    assert "error" in rows[0]
    assert len(rows) < 5001


def test_every_question_is_asked_of_every_image(bundle, photos, blip):
    questions = ["is there a cross?", "how many objects are there?"]
    process = run("ask", bundle, photos[1], photos[0], photos[2], *questions, code=3)
    asked = [(path, question) for path in (photos[1], photos[2]) for question in questions]
    expected = [f"{path}: {question} {blip.answer(path, question)}" for path, question in asked]
    assert process.stdout.splitlines() == expected
    assert len(process.stderr.splitlines()) == 2
    assert "1 of 3 images could not be read" in process.stderr
    rows = json.loads(run("ask", bundle, photos[1], photos[0], photos[2], *questions, "--json", code=3).stdout)
    assert [(row["image"], row["question"]) for row in rows] == [
        (str(path), question) for path in (photos[1], photos[0], photos[2]) for question in questions
    ]
    assert ["error" in row for row in rows] == [False, False, True, True, False, False]
    assert rows[0]["answer"] == blip.answer(photos[1], questions[0])
    assert rows[0]["finish_reason"] == "stop"


def test_one_question_about_several_images(bundle, photos, blip, tmp_path):
    (tmp_path / "answers.txt").write_text("yes\nno\n")
    good, question = photos[1:5], "is there a cross?"
    expected = [f"{path}: {answer}" for path, answer in zip(good, blip.answer(good, question), strict=True)]
    assert run("ask", bundle, *good, question).stdout.splitlines() == expected
    ranked = run("ask", bundle, *good, question, "--answers", tmp_path / "answers.txt").stdout.splitlines()
    likeliest = [one.answer for one in blip.rank(good, question, ["yes", "no"])]
    assert ranked == [f"{path}: {answer}" for path, answer in zip(good, likeliest, strict=True)]


def test_texts_that_were_cut_off_are_marked(bundle, photo):
    assert run("caption", bundle, photo, "--max-new-tokens", 2).stdout.endswith("…\n")
    (row,) = json.loads(run("caption", bundle, photo, "--max-new-tokens", 2, "--json").stdout)
    assert row["finish_reason"] == "length" and not row["caption"].endswith("…")
    assert "…" not in run("caption", bundle, photo, "--max-new-tokens", 40).stdout


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (["a.png", "b.png"], "no question after b.png"),
        (["a.png"], "no question after a.png"),
        (["a.png", "what is it?", "b.png"], "b.png is an image, but comes after a question"),
        (["a.png", "what is it?", "notes"], "notes is an image, but comes after a question"),
        (["a.png", "gone.JPEG", "what is it?", "gone.webp"], "gone.webp is an image"),
    ],
)
def test_images_and_questions_are_told_apart(inputs, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").touch()
    refusal = str(refused("ask", "bundle", *inputs))
    assert says in refusal and 'such as a.jpg b.jpg "what is this?"' in refusal


def test_split_inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no suffix").touch()
    split = split_inputs(["x", "no suffix", "gone.JPG", "how many?", "why " * 2500, "what.is.this"])
    assert split == ([Path("x"), Path("no suffix"), Path("gone.JPG")], ["how many?", "why " * 2500, "what.is.this"])


# Options that would have no effect


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["caption", "b", "a.png", "--temperature", 2], "--temperature has no effect without --do-sample"),
        (["caption", "b", "a.png", "--seed", 2], "--seed has no effect without --do-sample"),
        (["ask", "b", "a.png", "q", "--top-k", 50], "--top-k has no effect without --do-sample"),
        (["ask", "b", "a.png", "q", "--top-p", 0.5], "--top-p has no effect without --do-sample"),
        (
            ["ask", "b", "a.png", "q", "--length-penalty", 2],
            "--length-penalty has no effect without --num-beams above 1",
        ),
        (["ask", "b", "a.png", "q", "--answers", "f", "--num-beams", 3], "--num-beams has no effect with --answers"),
        (["ask", "b", "a.png", "q", "--answers", "f", "--max-new-tokens", 3], "--max-new-tokens has no effect with"),
        (["ask", "b", "a.png", "q", "--cache", "c", "--no-cache"], "--cache has no effect with --no-cache"),
        (
            ["optimize", "demo", "-o", "o", "--recipe", "none", "--samples", 9],
            "--samples has no effect with --recipe none",
        ),
        (["optimize", "demo", "-o", "o", "--recipe", "none", "--calibration", "demo"], "--calibration has no effect"),
        (["optimize", "demo", "-o", "o", "--max-drop", 1], "--max-drop has no effect without --recipe auto"),
        (
            ["optimize", "demo", "-o", "o", "--search-minutes", 1],
            "--search-minutes has no effect without --recipe auto",
        ),
        (["evaluate", "b", "--top-k", 5], "--top-k has no effect without --answers"),
        (["evaluate", "b", "--restart"], "--restart has no effect without --output"),
        (["evaluate", "b", "--no-original", "--original", "o"], "--original has no effect with --no-original"),
        (["evaluate", "--predictions", "p.json", "--num-beams", 3], "--num-beams has no effect with --predictions"),
        (["report", "b", "--diagnosis", "d.json", "--diagnose-samples", 3], "--diagnose-samples has no effect with"),
        (["diagnose", "b", "--json", "--worst", 3], "--worst has no effect with --json"),
    ],
)
def test_options_without_effect_are_refused(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(refused(*arguments)).startswith(says)
    assert list(tmp_path.iterdir()) == []


# Processes that are stopped


def when_there(pattern, folder, process):
    """Wait until a path appears below a folder, while a process runs."""
    while not list(folder.glob(pattern)):
        assert process.poll() is None
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("options", "moment"),
    [
        (["--recipe", "none"], ".bundle.*.lock"),
        (["--recipe", "none"], ".bundle.*.partial/vision.xml"),
        (["--samples", 20], ".bundle.*.partial/config.json"),
        (["--recipe", "auto", "--samples", 20, "--validation-samples", 20], ".bundle.*.search.*/graphs/*.xml"),
    ],
)
def test_sigterm_leaves_nothing_and_what_a_kill_leaves_goes(options, moment, tmp_path):
    target = tmp_path / "bundle"
    command = [sys.executable, "-m", "blipvino", "optimize", "demo", "-o", target, "--quiet", *options]
    for number, status in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        when_there(moment, tmp_path, process)
        process.send_signal(number)
        _, errors = process.communicate()
        assert process.returncode == status
        assert "Traceback" not in errors
        assert bool(list(tmp_path.iterdir())) == (number == signal.SIGKILL)
    run("optimize", "demo", "-o", target, "--recipe", "none", "--quiet")
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    def limit_file_size():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    process = run("optimize", "demo", "-o", tmp_path / "bundle", "--recipe", "none", code=2, preexec_fn=limit_file_size)
    assert "space" in process.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in run("--debug", "info", tmp_path / "nowhere", code=1).stderr
