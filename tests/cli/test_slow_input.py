"""Paths that come slowly on standard input: what becomes of an image is told before the next path is there, and the
program ends, whatever ends it, though its input does not.
"""

import json
import os
import signal
import subprocess
import sys

import pytest
from pictures import png
from subjects import scene_image

COMMANDS = [["caption"], ["ask"], ["ask", "--answers"]]


def begun(*arguments, **options):
    """A command whose standard input stays open."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen([sys.executable, "-m", "blipvino", *map(str, arguments)], **pipes, **options)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_text_does_not_wait_for_the_next_path(tiny_vqa, tmp_path, command):
    photos = [tmp_path / f"{number}.png" for number in range(4)]
    for number, photo in enumerate(photos):
        photo.write_bytes(png(scene_image(number)))
    photos[2].write_bytes(b"no image")
    questions = ["red?", "how many?"] if command[0] == "ask" else []
    (answers := tmp_path / "answers").write_text("red\nblue")
    options = ["--answers", answers] if "--answers" in command else []
    with begun(command[0], tiny_vqa.bundle, "-", *questions, "--jsonl", *options) as process:
        for photo in photos:
            process.stdin.write(f"{photo}\n")
            process.stdin.flush()
            lines = [json.loads(process.stdout.readline()) for _ in questions or [None]]
            assert [line["image"] for line in lines] == [str(photo)] * len(lines)
            assert [line.get("question") for line in lines] == (questions or [None])
            assert all(("error" in line) == (photo == photos[2]) for line in lines)
        process.stdin.close()
        assert process.stdout.read() == "" and process.wait(60) == 3


def test_images_that_arrive_together_do_not_wait_for_one_that_can_be_read(tiny_vqa, tmp_path):
    (photo := tmp_path / "photo.png").write_bytes(png(scene_image(0)))
    with begun("caption", tiny_vqa.bundle, "-", "--jsonl") as process:
        process.stdin.write(f"{photo}\n{tmp_path / 'gone.png'}\n{tmp_path}/none\n")
        process.stdin.flush()
        rows = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert ["error" in row for row in rows] == [False, True, True]
        process.stdin.close()
        assert process.wait(60) == 3


def test_what_is_refused_ends_though_the_input_is_open(tmp_path):
    with begun("caption", tmp_path / "nowhere", "-", stderr=subprocess.PIPE) as process:
        process.stdin.write("photo.png\n")
        process.stdin.flush()
        told = process.stderr.read()
        assert (process.wait(60), told.count("\n")) == (2, 1) and "no such folder" in told


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_though_the_input_is_open(tiny_vqa, tmp_path, number, status):
    (photo := tmp_path / "photo.png").write_bytes(png(scene_image(0)))
    arguments = ("caption", tiny_vqa.bundle, "-", "--jsonl")
    with begun(*arguments, stderr=subprocess.PIPE, preexec_fn=_heed_interrupts) as process:
        process.stdin.write(f"{photo}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["image"] == str(photo)
        process.send_signal(number)
        told = process.stderr.read()
        assert process.wait(60) == status and "Fatal" not in told


def _heed_interrupts():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's jobs in the background do not
