"""How often contenders are right, as a table; and texts of baselines that end where they end."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("transformers")

from benchmarks.contender_accuracy import ORIGINAL, Said, accuracy_table
from blipvino.checkpoint.config import TextConfig
from blipvino.data import open_source, take
from blipvino.measure.race.baselines import tutorial
from blipvino.measure.race.baselines.common import greedy
from blipvino.measure.race.baselines.transformers_model import TransformersModel


def test_the_table_says_how_often_each_is_right_and_as_the_original():
    asked = take(open_source("demo:test"), 4, spread=True)
    answers, captions = [sample.questions[0].answers[0] for sample in asked], [sample.captions[0] for sample in asked]
    wrong = Said(["nonsense", *answers[1:]], [captions[0], "nonsense", "nonsense", captions[3]])
    rows = accuracy_table({ORIGINAL: Said(answers, captions), "other": wrong}, asked, asked).splitlines()
    assert [cell.split()[0] for cell in rows[2].split("|")[2:-1]] == ["100.00"] * 4
    assert [cell.split()[0] for cell in rows[3].split("|")[2:-1]] == ["75.00", "50.00", "75.00", "50.00"]


def test_rows_end_with_the_closing_token_where_they_may(monkeypatch):
    config = object.__new__(TextConfig)
    for name, value in {"bos_token_id": 0, "sep_token_id": 1}.items():
        object.__setattr__(config, name, value)
    said = np.array([[2, 1, 3], [2, 2, 1]])
    place = [0]

    def step(_):
        logits = np.zeros((2, 4), np.float32)
        logits[[0, 1], said[:, place[0]]] = 1
        place[0] += 1
        return logits

    assert greedy(step, 2, config, 3, closes=True) == [[2, 1], [2, 2, 1]]
    place[0] = 0
    assert all(1 not in row and len(row) == 3 for row in greedy(step, 2, config, 3))


def test_the_tutorials_long_captions_are_those_of_transformers(demo, tmp_path):
    """Longer than a vector register: from there on OpenVINO computes attention without a mask wrongly."""
    tutorial._convert(demo.folder, tmp_path)
    tutorial.copy_inputs(demo.folder, tmp_path)
    ours = tutorial.TutorialPipeline(tmp_path, "fp16", {"INFERENCE_PRECISION_HINT": "f32"}, closes=True)
    images = [sample.image() for sample in take(open_source("demo:test"), 4, spread=True)]
    expected = [TransformersModel(demo.folder, closes=True).caption([image], 40) for image in images]
    assert max(len(row) for (row,) in expected) > 17
    assert [ours.caption([image], 40) for image in images] == expected


def test_transformers_closes_its_texts_where_it_may(demo):
    sample = take(open_source("demo:test"), 1)[0]
    open_ended, closed = (TransformersModel(demo.folder, closes=closes) for closes in (False, True))
    (row,) = closed.caption([sample.image()], 30)
    (longer,) = open_ended.caption([sample.image()], 30)
    assert len(row) < 30 == len(longer)
    assert longer[: len(row) - 1] == row[:-1]
