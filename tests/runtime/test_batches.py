"""Batches: a text of a batch is the text alone."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from subjects import QUESTIONS, scene_image

SHORT = {"max_new_tokens": 8}


@pytest.fixture(scope="module")
def alone(answerer):
    """Two images, and the answer to each question about each of them, asked alone."""
    images = [scene_image(index) for index in range(2)]
    answers = {
        (index, text): answerer.exact.answer(image, text, **SHORT)
        for index, image in enumerate(images)
        for text in QUESTIONS
    }
    assert len(set(answers.values())) > 4
    return images, answers


asked = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(QUESTIONS)), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pairs=asked, batch_size=st.integers(1, 13))
def test_batched_answers_are_the_single_ones(answerer, alone, pairs, batch_size):
    images, answers = alone
    found = answerer.exact.answer(
        [images[index] for index, _ in pairs], [text for _, text in pairs], batch_size=batch_size, **SHORT
    )
    assert found == [answers[pair] for pair in pairs]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(st.sampled_from(QUESTIONS), min_size=2, max_size=6), beams=st.integers(2, 4))
def test_batched_answers_by_beam_search_are_the_single_ones(answerer, texts, beams):
    image = scene_image(0)
    found = answerer.exact.answer(image, texts, num_beams=beams, **SHORT)
    assert found == [answerer.exact.answer(image, text, num_beams=beams, **SHORT) for text in texts]


@settings(max_examples=6, deadline=None)
@given(order=st.lists(st.integers(0, 5), min_size=1, max_size=10), batch_size=st.integers(1, 11))
def test_batched_captions_are_the_single_ones(subject, order, batch_size):
    found = subject.exact.caption([scene_image(index) for index in order], batch_size=batch_size, **SHORT)
    assert found == [subject.exact.caption(scene_image(index), **SHORT) for index in order]


def test_nothing_asked_is_nothing_answered(answerer):
    assert answerer.blip.answer(scene_image(0), []) == []
    assert answerer.blip.answer([], "red?") == []
    assert answerer.blip.answer([], []) == []
    assert answerer.blip.caption([]) == []
