"""Questions on the command line."""

import json

from command_line import run


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
