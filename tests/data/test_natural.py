"""Generated pictures as a source."""

import numpy as np
import pytest

from blipvino.data import NaturalSource, count_items, open_source, take
from blipvino.errors import DataError


def test_samples_are_decided_by_the_seed():
    source = open_source("natural")
    assert source == NaturalSource() and source.name == "natural"
    taken = take(source, 12, seed=5, spread=True)
    again = take(source, 12, seed=5, spread=True)
    assert [sample.image_id for sample in taken] == [sample.image_id for sample in again]
    assert count_items(taken) == len(taken) == 12
    assert len({sample.questions[0].text for sample in taken}) > 6
    assert np.array_equal(np.asarray(taken[0].image()), np.asarray(again[0].image()))
    others = take(source, 12, seed=6, spread=True)
    assert {sample.image_id for sample in others} != {sample.image_id for sample in taken}


def test_questions_have_ids_of_their_own_and_no_answers():
    asked = [question for sample in take(NaturalSource(), 64) for question in sample.questions]
    assert len({question.question_id for question in asked}) == len(asked) == 64
    assert not any(question.answers for question in asked)


@pytest.mark.parametrize("spec", ["natural:", "natural:7", "natural:validation"])
def test_the_name_is_all_there_is_to_say(spec):
    with pytest.raises(DataError, match="natural"):
        open_source(spec)
