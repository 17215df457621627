"""Which questions are asked, and which images are captioned."""

from blipvino.data import open_source
from blipvino.measure.evaluation.selection import digest, select, select_known


def test_selection_takes_the_first_of_the_shuffle():
    source = open_source("demo:test")
    some = select(source, 12, 4, 42)
    assert sum(len(one.sample.questions) for one in some) == 12
    assert [one.captioned for one in some] == [True] * 4
    assert [len(one.sample.questions) for one in some] == [8, 4, 0, 0]
    assert [one.captioned for one in select(source, 20, 1, 42)] == [True, False, False]
    assert select(source, 0, 2, 42)[0].sample.questions == ()
    assert digest(some) == digest(select(source, 12, 4, 42)) != digest(select(source, 12, 3, 42))
    ids = [question.question_id for one in some for question in one.sample.questions]
    known = select_known(source, ids, [some[3].sample.image_id], 42)
    assert [len(one.sample.questions) for one in known] == [8, 4, 0]
    assert [one.captioned for one in known] == [False, False, True]
