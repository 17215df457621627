"""Paths that come slowly on standard input: each image's text is printed before the next path is there."""

import json
import os
import subprocess
import sys

import pytest
from pictures import png
from subjects import scene_image


@pytest.mark.parametrize("command", [["caption"], ["ask"]])
def test_a_text_does_not_wait_for_the_next_path(tiny_vqa, tmp_path, command):
    photos = [tmp_path / f"{number}.png" for number in range(3)]
    for number, photo in enumerate(photos):
        photo.write_bytes(png(scene_image(number)))
    bundle, questions = str(tiny_vqa.bundle), ["red?", "how many?"] if command == ["ask"] else []
    arguments = [sys.executable, "-m", "blipvino", *command, bundle, "-", *questions, "--jsonl"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        for photo in photos:
            process.stdin.write(f"{photo}\n")
            process.stdin.flush()
            lines = [json.loads(process.stdout.readline()) for _ in questions or [None]]
            assert [line["image"] for line in lines] == [str(photo)] * len(lines)
            assert [line.get("question") for line in lines] == (questions or [None])
        process.stdin.close()
        assert process.stdout.read() == "" and process.wait(60) == 0
