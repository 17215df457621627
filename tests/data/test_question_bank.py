"""The bank of questions for pictures that bring none."""

from math import gcd

import pytest

from blipvino.data import QUESTIONS, bank_questions
from blipvino.data.natural import QUESTIONS_PER_PICTURE
from blipvino.data.photographs import QUESTIONS_PER_PHOTOGRAPH


def test_questions_are_questions_of_many_kinds_and_lengths():
    assert len(set(QUESTIONS)) == len(QUESTIONS) > 80
    assert all(text == text.lower().strip() and text.endswith("?") for text in QUESTIONS)
    lengths = [len(text.split()) for text in QUESTIONS]
    assert min(lengths) <= 3 and max(lengths) >= 9
    first = {" ".join(text.split()[:2]) for text in QUESTIONS[:8]}
    assert len(first) > 5


@pytest.mark.parametrize("each", [1, QUESTIONS_PER_PICTURE, QUESTIONS_PER_PHOTOGRAPH, 200])
def test_every_picture_gets_others_until_all_were_asked(each):
    asked = [question for number in range(100) for question in bank_questions(number, each)]
    assert [question.question_id for question in asked] == list(range(100 * each))
    assert [question.text for question in asked[: len(QUESTIONS)]] == list(QUESTIONS)[: len(asked)]


@pytest.mark.parametrize("each", [QUESTIONS_PER_PICTURE, QUESTIONS_PER_PHOTOGRAPH])
def test_first_questions_of_many_pictures_are_the_whole_bank(each):
    assert gcd(len(QUESTIONS), each) == 1
    first = {bank_questions(number, each)[0].text for number in range(len(QUESTIONS))}
    assert first == set(QUESTIONS)
