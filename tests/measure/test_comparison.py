"""Comparisons: what is counted is what both models give one call at a time."""

import json

import pytest

from blipvino import Blip, EngineOptions
from blipvino.data import open_source, take
from blipvino.errors import InputError
from blipvino.measure.comparison import CompareOptions, compare_with
from blipvino.measure.report.comparison_tables import agreement_table
from blipvino.metrics.vqa import vqa_accuracy


@pytest.fixture(scope="module")
def compared(tiny_vqa, tiny_int8):
    """A comparison of the tiny checkpoint in 8 bits with its original."""
    return compare_with(tiny_vqa.bundle, tiny_int8, "demo:test", CompareOptions(10, 1, 6), show_progress=False)


@pytest.fixture(scope="module")
def models(tiny_vqa, tiny_int8):
    """The original and the compressed model, as they are compared."""
    return Blip.load(tiny_vqa.bundle, options=EngineOptions(precision="f32")), Blip.load(tiny_int8)


def test_agreement_and_accuracy_are_those_of_single_calls(compared, models):
    samples = take(open_source("demo:test"), 10)
    same, accuracies = 0, [0.0, 0.0]
    for sample in samples:
        for question in sample.questions:
            answers = [blip.answer(sample.image(), question.text, max_new_tokens=6) for blip in models]
            same += answers[0] == answers[1]
            for place, answer in enumerate(answers):
                accuracies[place] += vqa_accuracy(answer, question.answers) / 10
    whole, *types = compared.to_json()["answers"]
    assert (whole["kind"], whole["count"], whole["same"], whole["share"]) == ("all", 10, same, same / 10)
    assert [whole["original"], whole["compressed"]] == pytest.approx(accuracies)
    assert sum(row["count"] for row in types) == 10  # question types alone, each question once
    captions = [[blip.caption(sample.image(), max_new_tokens=6) for blip in models] for sample in samples]
    found = compared.to_json()["captions"]
    assert (found["kind"], found["count"], found["same"]) == (
        "captions",
        len(samples),
        sum(a == b for a, b in captions),
    )
    assert [list(picture.captions) for picture in compared.pictures] == captions


def test_json_has_the_names_that_it_always_had(compared):
    content = json.loads(json.dumps(compared.to_json()))
    assert list(content) == [
        *("original", "compressed", "data", "names", "sizes", "graph_sizes", "latencies", "machine"),
        *("answers", "captions"),
    ]
    names = ["kind", "count", "same", "interval", "original", "compressed", "share"]
    assert all(list(row) == names for row in (*content["answers"], content["captions"]))
    assert content["captions"]["original"] is content["captions"]["compressed"] is None


def test_the_table_ends_with_captions(compared):
    table = agreement_table(compared)
    assert [row[0] for row in table.rows] == [*(score.name for score in compared.answers), "captions"]
    assert table.rows[-1][3:] == ("", "") and "%" in table.rows[0][3]


def test_a_captioner_is_compared_by_captions_alone(tiny_captioner):
    options = CompareOptions(2, 1, 4)
    found = compare_with(None, tiny_captioner.bundle, "demo:test", options, show_progress=False)
    assert found.answers == () and found.captioned == 1
    assert (found.caption_agreement.value, found.pictures[0].question) == (1, None)


def test_bad_options_are_refused():
    with pytest.raises(InputError, match="samples is 0"):
        CompareOptions(samples=0)
