"""When a caption counts as right."""

import pytest

from blipvino.metrics.right_captions import describe_rule, right_captions

REFERENCES = [
    ("a dog runs over the grass", "a brown dog on grass"),
    ("two cats on a red sofa",),
    ("a man rides a horse",),
    ("boats in the harbour at night",),
]


def test_word_for_word_means_words():
    said = ["A dog runs over the grass.", "two cats on a sofa", "a man rides a horse", ""]
    assert right_captions(said, REFERENCES, None).tolist() == [1, 0, 1, 0]


def test_a_threshold_takes_what_is_close():
    said = ["a brown dog on the grass", "two cats on a sofa", "a plane", "boats in the harbour at night"]
    assert right_captions(said, REFERENCES, None).tolist() == [0, 0, 0, 1]
    assert right_captions(said, REFERENCES, 1.0).tolist() == [1, 1, 0, 1]
    assert right_captions(said, REFERENCES, 10.0).tolist() == [0, 0, 0, 1]


def test_no_captions_are_none():
    assert right_captions([], [], 1.0).shape == (0,)


@pytest.mark.parametrize(("rule", "words"), [(None, "word for word"), (1.0, "CIDEr-D of 100 or more")])
def test_a_rule_is_said_in_words(rule, words):
    assert words in describe_rule(rule)
