"""VQA accuracy beside values computed by hand."""

import pytest

from blipvino.metrics.vqa import normalize_answer, vqa_accuracy


@pytest.mark.parametrize(
    ("matches", "accuracy"),
    # Of ten subsets of nine annotators, as many as there are matches hold one match less.
    [
        (0, 0.0),
        (1, (9 * 1 / 3 + 1 * 0) / 10),
        (2, (8 * 2 / 3 + 2 * 1 / 3) / 10),
        (3, (7 * 1 + 3 * 2 / 3) / 10),
        (4, 1.0),
    ],
)
def test_ten_annotators(matches, accuracy):
    annotators = ["red"] * matches + ["blue"] * (10 - matches)
    assert vqa_accuracy("red", annotators) == pytest.approx(accuracy)


def test_answers_are_normalised_only_where_annotators_differ():
    assert vqa_accuracy("Two!", ["2"] * 5 + ["two"] * 5) == 1
    assert vqa_accuracy("Two!", ["two"] * 10) == 0
    assert vqa_accuracy("the STOP", ["STOP"] * 9 + ["a stop"]) == 1
    assert vqa_accuracy("stop", ["STOP"] * 10) == 0
    assert vqa_accuracy("STOP\n", ["STOP\t"] * 10) == 1


@pytest.mark.parametrize(
    ("answer", "normalised"),
    [
        ("The Red Car.", "red car"),
        ("none", "0"),
        ("ten or eleven", "10 or eleven"),
        ("3.5", "3.5"),
        ("1,000", "1000"),
        ("red,blue", "red blue"),
        ("red, blue", "red blue"),
        ("t-shirt", "t shirt"),
        ("in 1,000 t-shirts", "in 1000 tshirts"),  # a comma in a number lets every mark go without a space
        ("dont", "don't"),
        ("couldntve", "couldntve"),
        ("couldnt've", "couldn't've"),
        ("somebody'd", "somebodyd"),
        ("a an the", ""),
        ("." * 40, "." * 8),
    ],
)
def test_normalised_answers(answer, normalised):
    assert normalize_answer(answer) == normalised


def test_few_annotators_need_one_match():
    assert vqa_accuracy("A Cat.", ["dog", "cat"]) == 1
    assert vqa_accuracy("two", ["2"]) == 1
    assert vqa_accuracy("the", ["a"]) == 0  # not equal for all that nothing is left of either
    assert vqa_accuracy("cat", []) == 0
