"""The command that evaluates, and answers chosen from a list."""

import json

import pytest

from blipvino.cli.main import main
from blipvino.data.demo import demo_sample


@pytest.fixture
def run(monkeypatch, capsys):
    """The command line in this process: its exit status, and what it prints."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["blipvino", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            main()
        return leaving.value.code, capsys.readouterr()

    return run


def test_the_command_line_evaluates(int8, demo, tmp_path, run):
    out = tmp_path / "out"
    arguments = ["--samples", 8, "--captions", 1, "--original", demo.bundle, "-o", out, "--quiet"]
    code, printed = run("evaluate", int8, *arguments, "--json")
    assert not code and json.loads(printed.out) == json.loads((out / "evaluation.json").read_text())
    code, printed = run("evaluate", int8, *arguments)
    assert not code and "VQA accuracy by question type" in printed.out and "CIDEr-D" in printed.out
    code, printed = run("evaluate", int8, *arguments, "--seed", 3)
    assert code == 2 and "seed 42 there, 3 here" in printed.err
    code, printed = run("evaluate", int8, *arguments, "--seed", 3, "--restart")
    assert not code
    code, printed = run("evaluate", "--predictions", out / "answers-compressed.json", "--json")
    assert not code and json.loads(printed.out)["data"]["questions"] == 8
    code, printed = run("evaluate")
    assert code == 2 and "--predictions" in printed.err


def test_the_command_line_asks_by_a_list(demo, tmp_path, run):
    image, answers = tmp_path / "scene.png", tmp_path / "answers.txt"
    demo_sample("test", 2).image().save(image)
    answers.write_text("seven\neight\n")
    code, printed = run("ask", demo.bundle, image, "how many objects are there?", "--answers", answers)
    assert not code and printed.out.strip() in ("seven", "eight")
