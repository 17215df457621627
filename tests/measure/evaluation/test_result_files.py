"""Result files in the official formats."""

import json

import pytest

from blipvino.errors import DataError
from blipvino.measure.evaluation.evaluate import evaluate_results
from blipvino.measure.evaluation.result_files import Texts, read_results, write_results


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "expected a JSON list"),
        ("[]", "empty"),
        ('[{"question_id": "1", "answer": "x"}]', "question_id"),
        ('[{"question_id": 1, "answer": "x"}, {"question_id": 1, "answer": "y"}]', "twice"),
        ('[{"question_id": 1, "answer": 2}]', r"\[0\].*answer"),
        ('[{"image_id": 1}]', "caption"),
        ('[{"question_id": 77777000, "answer": "x"}]', "no question 77777000"),
        ('[{"image_id": 77777, "caption": "x"}]', "no image 77777"),
    ],
)
def test_bad_result_files_are_refused(tmp_path, monkeypatch, content, says):
    monkeypatch.setattr("blipvino.data.demo.SCENES", 50)
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(DataError, match=says):
        evaluate_results([path], "demo:test")


def test_result_files_have_the_official_formats(tmp_path):
    texts = Texts({3: "yes", 5: "zwölf"}, {7: "a cat", "b/c.png": "a dog"})
    write_results(texts, tmp_path, "x")
    assert json.loads((tmp_path / "answers-x.json").read_text()) == [
        {"question_id": 3, "answer": "yes"},
        {"question_id": 5, "answer": "zwölf"},
    ]
    assert json.loads((tmp_path / "captions-x.json").read_text())[0] == {"image_id": 7, "caption": "a cat"}
    assert read_results(tmp_path / "answers-x.json").answers == texts.answers
    assert read_results(tmp_path / "captions-x.json").captions == texts.captions
