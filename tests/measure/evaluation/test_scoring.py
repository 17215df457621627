"""Scores and examples of what models say."""

import pytest
from evaluation_subjects import question, sample

from blipvino.measure.evaluation.result_files import Texts
from blipvino.measure.evaluation.scoring import answer_examples, caption_examples, score_answers, score_captions
from blipvino.measure.evaluation.selection import Assignment


def test_scores_by_type_and_without_truth():
    assignments = [
        Assignment(sample(1, question(1, ("red",), "what", "other"), question(2, ("2",), "how many", "number")), False),
        Assignment(sample(2, question(3, ("blue",), "what", "other"), question(4, (), "why")), False),
    ]
    original = Texts({1: "red", 2: "2", 3: "blue", 4: "x"})
    compressed = Texts({1: "red", 2: "3", 3: "blue", 4: "y"})
    rows = {row.name: row for row in score_answers(assignments, original, compressed, seed=0)}
    assert list(rows) == ["all", "number", "other", "how many", "what", "why"]
    assert (rows["all"].questions, rows["all"].images, rows["what"].images) == (4, 2, 2)
    assert rows["all"].original.value == 1 and rows["all"].compressed.value == pytest.approx(2 / 3)
    assert rows["all"].agreement.value == 0.5
    assert rows["number"].drop.value == 1
    assert rows["why"].original is rows["why"].compressed is rows["why"].drop is None
    assert rows["why"].agreement.value == 0
    (alone, *_) = score_answers(assignments, None, compressed, seed=0)
    assert alone.original is alone.drop is alone.agreement is None
    assert alone.compressed == rows["all"].compressed
    assert score_answers([Assignment(sample(1), True)], original, compressed, seed=0) == ()


def test_captions_without_references_agree_or_not():
    assignments = [
        Assignment(sample(1, captions=("a cat", "one cat")), True),
        Assignment(sample(2), True),
        Assignment(sample(3), False),
    ]
    original, compressed = Texts(captions={1: "a cat", 2: "x"}), Texts(captions={1: "a cat", 2: "y"})
    scores = score_captions(assignments, original, compressed, seed=0)
    assert scores.agreement.value == 0.5
    assert {row.metric: row.compressed.value for row in scores.metrics}["BLEU-2"] == pytest.approx(1)
    assert score_captions(assignments[1:], original, compressed, seed=0).metrics == ()


def test_examples_show_differences_first_and_the_costliest_of_them_first():
    asked = [question(number, ("red",) * 10) for number in range(5)]
    assignments = [Assignment(sample(1, *asked, captions=("a cat",)), True), Assignment(sample(2), True)]
    before = Texts(dict(enumerate(["red", "red", "blue", "red", "red"])), {1: "a cat", 2: "x"})
    after = Texts(dict(enumerate(["red", "red", "red", "blue", "red"])), {1: "a cat", 2: "y"})
    examples = answer_examples(assignments, before, after, 4)
    assert [example.question_id for example in examples] == [3, 2, 0, 1]
    assert (examples[0].truth[0], examples[0].original, examples[0].compressed) == ("red", "red", "blue")
    assert (examples[0].original_accuracy, examples[0].compressed_accuracy, examples[0].differs) == (1, 0, True)
    assert [example.image_id for example in caption_examples(assignments, before, after, 5)] == [2, 1]
    assert [example.differs for example in caption_examples(assignments, None, after, 5)] == [False, False]
