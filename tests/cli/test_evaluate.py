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


@pytest.mark.slow
def test_plain_photos_have_no_empty_columns_and_what_they_lack_is_said(int8, demo, tmp_path, run):
    for index in range(3):
        demo_sample("test", index).image().save(tmp_path / f"{index}.png")
    arguments = ["--data", f"folder:{tmp_path}", "--original", demo.bundle]
    code, printed = run("evaluate", int8, *arguments, "--samples", 300, "--captions", 30)
    assert not code
    assert f"folder:{tmp_path.name} has no questions and only 3 images to caption of the 30 asked for" in printed.err
    assert "Captions, %" in printed.out and "drop" not in printed.out and "CIDEr" not in printed.out
    assert "how often both models say the same" in printed.out
    code, printed = run("compare", int8, *arguments, "--samples", 300, "--latency-samples", 2)
    assert not code and "has only 3 samples of the 300 asked for\n" in printed.err
    assert "agreement [95%]" in printed.out and "accuracy" not in printed.out
    code, printed = run("diagnose", int8, "--data", f"folder:{tmp_path}", "--samples", 4)
    assert not code and "has only 3 samples of the 4 asked for\n" in printed.err


def test_the_command_line_asks_by_a_list(demo, tmp_path, run):
    image, answers = tmp_path / "scene.png", tmp_path / "answers.txt"
    demo_sample("test", 2).image().save(image)
    answers.write_text("seven\neight\n")
    code, printed = run("ask", demo.bundle, image, "how many objects are there?", "--answers", answers)
    assert not code and printed.out.strip() in ("seven", "eight")


def test_the_command_line_evaluates_retrieval(tiny_retriever, tmp_path, run):
    out = tmp_path / "out"
    few = ["--images", 12, "--candidates", 10, "--quiet"]
    beside = ["--original", tiny_retriever.bundle, "--precision", "f32", "-o", out]
    code, printed = run("evaluate", tiny_retriever.bundle, *few, *beside, "--json")
    found = json.loads(printed.out)
    assert not code and found == json.loads((out / "evaluation.json").read_text())
    assert found["data"]["images"] == 12 and len(found["recall"]) == 12
    assert all(row["drop"]["value"] == 0 for row in found["recall"])
    code, printed = run("evaluate", tiny_retriever.bundle, *few, "--no-original")
    assert not code and "Recall at k, %" in printed.out and "Claims judged rightly" in printed.out
    assert "drop" not in printed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--captions", 5], "--captions has no effect with a bundle for retrieval: it generates no text"),
        (["--candidates", 5], "candidates is 5, expected at least 10"),
        (["--data", "folder:{folder}"], "0 images with captions of their own in it"),
    ],
)
def test_what_retrieval_cannot_be_evaluated_on_is_a_line(tiny_retriever, tmp_path, run, arguments, message):
    demo_sample("test", 2).image().save(tmp_path / "scene.png")
    given = [str(each).format(folder=tmp_path) for each in arguments]
    code, printed = run("evaluate", tiny_retriever.bundle, "--quiet", *given)
    assert code == 2 and message in " ".join(printed.err.split())


def test_measurements_of_texts_say_what_there_is_for_retrieval(tiny_retriever, tmp_path, run):
    demo_sample("test", 2).image().save(tmp_path / "scene.png")
    code, printed = run("compare", tiny_retriever.bundle, "--quiet")
    assert code == 2 and "`blipvino report` sets it beside its original" in " ".join(printed.err.split())
    code, printed = run("caption", tiny_retriever.bundle, tmp_path, "--no-cache")
    assert code == 2 and "BlipRetriever" in printed.err
