"""What captions and answers print, when, and what is left of stopped work."""

import io
import json
import signal
import subprocess
import sys

import pytest
from command_line import run
from PIL import Image
from rich.console import Console

from blipvino.cli.output import print_error, print_line
from blipvino.demo.scenes import render, sample_scene
from blipvino.text.tables import TextTable
from blipvino.text.terminal import rich_table


def test_a_table_shows_brackets_as_they_are():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(rich_table(TextTable("left out", ("who", "why"), (("onnx", "pip install 'blipvino[bench]'"),))))
    assert "pip install 'blipvino[bench]'" in console.export_text()


def test_captions_and_answers_are_all_of_standard_output(bundle, photo):
    process = run("caption", bundle, photo)
    assert process.stdout.count("\n") == 1 and process.stdout.startswith("a ")
    assert run("ask", bundle, photo, "how many objects are there?").stdout.strip().isdigit()


def test_json_of_captions_and_answers(bundle, photo, tmp_path):
    (same := tmp_path / "same.png").symlink_to(photo)
    captions = json.loads(run("caption", bundle, photo, same, photo, "--json").stdout)
    assert [row["image"] for row in captions] == [str(photo), str(same)]
    assert captions[0]["caption"] == captions[1]["caption"] != ""
    answers = json.loads(run("ask", bundle, photo, "is there a cross?", "how many objects are there?", "--json").stdout)
    assert [row["question"] for row in answers] == ["is there a cross?", "how many objects are there?"]


def test_pictures_show_the_image_above_the_text(bundle, photo, tmp_path):
    run("caption", bundle, photo, "--picture", tmp_path / "caption.png")
    with Image.open(tmp_path / "caption.png") as picture:
        assert picture.height > picture.width > 96


def test_a_picture_replaces_no_image_that_is_looked_at(bundle, photo, tmp_path):
    before = photo.read_bytes()
    (link := tmp_path / "link.png").symlink_to(photo)
    for images, picture in ((photo, photo), (photo.parent, photo), (photo, link)):
        told = run("caption", bundle, images, "--picture", picture, code=2)
        assert f"--picture {picture} would replace an image that is looked at" in told.stderr
    assert photo.read_bytes() == before


def test_texts_that_were_cut_off_are_marked(bundle, photo):
    assert run("caption", bundle, photo, "--max-new-tokens", 2).stdout.endswith("…\n")
    (row,) = json.loads(run("caption", bundle, photo, "--max-new-tokens", 2, "--json").stdout)
    assert row["finish_reason"] == "length" and not row["caption"].endswith("…")
    assert "…" not in run("caption", bundle, photo, "--max-new-tokens", 40).stdout


def test_captions_appear_as_they_are_made(bundle, tmp_path):
    """All of a long list is not waited for: the last image is a file that is there only once captions were read."""
    late, scene = tmp_path / "late.png", Image.fromarray(render(sample_scene("test", 2)))
    scenes = [tmp_path / f"scene{number}.png" for number in range(200)]
    scene.save(scenes[0])
    for path in scenes[1:]:
        path.symlink_to(scenes[0])
    command = [sys.executable, "-m", "blipvino", "caption", bundle, *scenes, late]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    scene.save(late)
    rest = process.stdout.read().splitlines()
    assert process.wait() == 0
    assert len(rest) == 200
    assert first.startswith(str(scenes[0]))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_json_of_stopped_work_has_what_was_done(bundle, photo, tmp_path, number, status):
    for name in range(5000):
        (tmp_path / f"{name}.png").symlink_to(photo)
    command = [sys.executable, "-m", "blipvino", "caption", bundle, "missing.png", tmp_path, "--json"]
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in its background has them ignore Ctrl-C, and this process would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # it takes no lock
    )
    assert "missing.png" in process.stderr.readline()  # told when the first captions are
    process.send_signal(number)
    output, errors = process.communicate()
    assert process.returncode == status
    assert errors == ("blipvino: interrupted\n" if number == signal.SIGINT else "")
    rows = json.loads(output)
    assert "error" in rows[0]
    assert len(rows) < 5001


def test_what_is_printed_is_one_line_whatever_names_have(capsys):
    print_error("b\nc\x1b[2J\x9b.png: no such image file")
    print_line("d\r\te\u2028é\x7f.png: a dog", sys.stdout)
    printed = capsys.readouterr()
    assert printed.err == "blipvino: b\\nc\\x1b[2J\\x9b.png: no such image file\n"
    assert printed.out == "d\\r\\te\\u2028é\\x7f.png: a dog\n"
