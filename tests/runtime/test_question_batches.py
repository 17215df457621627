"""Questions about several images, read side by side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from subjects import scene_image, scene_questions

from blipvino.runtime.decoding.cross_kv import CrossKV
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.question_batches import (
    IMAGES_TOGETHER,
    ROWS_TOGETHER,
    images_together,
    question_batches,
    question_states,
)


def features(count):
    return [ImageFeatures(np.zeros((2, 3), np.float32), "model") for _ in range(count)]


def shapes(*counts):
    """Images and rows of each batch where so many questions are about each image."""
    asked = [image for image, count in zip(features(len(counts)), counts, strict=True) for _ in range(count)]
    batches = question_batches(asked, [8] * len(asked), IMAGES_TOGETHER)
    return [(len(batch.images), len(batch.rows[0])) for batch in batches]


def test_as_many_go_together_as_pays():
    assert shapes(1) == [(1, 1)]
    assert shapes(*[1] * 8) == [(8, 1)]
    assert shapes(*[1] * 9) == [(8, 1), (1, 1)]
    assert shapes(1, 1) == [(1, 1), (1, 1)]
    assert shapes(8, 8) == [(1, 8), (1, 8)]
    assert shapes(1, 20, 1, 1) == [(1, 20), (3, 1)]  # none is filled up with twenty
    assert shapes(3, 5, 4) == [(3, 5)]


def lengths_read(*lengths):
    """Those of each batch, where questions of such lengths are about one image."""
    asked = features(1) * len(lengths)
    batches = question_batches(asked, lengths, IMAGES_TOGETHER)
    return [[lengths[row] for row in batch.rows[0]] for batch in batches]


def test_short_questions_are_not_padded_to_long_ones_where_that_costs_more_than_to_read_them_apart():
    assert lengths_read(8, 16, 8, 16, 8) == [[16, 16], [8, 8, 8]]
    assert lengths_read(8, 16, 8, 16) == [[16, 16, 8, 8]]
    assert lengths_read(12, 8, 8, 8, 12) == [[12, 12, 8, 8, 8]]
    assert lengths_read(*[8] * 6, *[12] * 6, 32) == [[32, 12], [12, 12, 12, 12, 12], [8, 8, 8, 8, 8, 8]]
    assert lengths_read(256, 8) == [[256, 8]]  # a lone one has graphs of its own
    assert lengths_read(256, 256, 8) == [[256, 256, 8]]


@given(
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from([8, 12, 16, 24, 32])), min_size=1, max_size=60),
    st.sampled_from([1, 3, IMAGES_TOGETHER]),
)
def test_every_question_is_read_with_its_image(asking, most):
    images = features(12)
    asked, lengths = [images[number] for number, _ in asking], [length for _, length in asking]
    read = []
    for batch in question_batches(asked, lengths, most):
        assert len({len(rows) for rows in batch.rows}) == 1
        assert len(batch.images) == 1 or sum(map(len, batch.rows)) <= ROWS_TOGETHER
        assert len(batch.images) <= most
        for image, rows in zip(batch.images, batch.rows, strict=True):
            assert all(asked[row] is image for row in rows)
            assert len(rows) > 1 or len(batch.images) > 1 or asked.count(image) == 1
            read += dict.fromkeys(rows)
    assert sorted(read) == list(range(len(asked)))


@pytest.fixture
def together(monkeypatch):
    """As where keys and values are integers."""
    monkeypatch.setattr("blipvino.runtime.question_batches.images_together", lambda kv: IMAGES_TOGETHER)


def test_where_numbers_are_wide_images_are_read_one_by_one(tiny_vqa):
    blip = tiny_vqa.exact
    kv = blip.extractor.question_kv(blip.features(scene_image(0)))
    assert (kv.itemsize, images_together(kv)) == (4, 1)
    assert images_together(CrossKV({"cross_key.0": np.zeros((1, 1, 1, 1), np.int8)})) == IMAGES_TOGETHER


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("asked", [[0, 1], [0, 1, 2, 0, 1, 0], [2, 2, 2, 0, 1], [*range(5)] * 3])
def test_states_are_those_of_each_image_alone(tiny_vqa, asked):
    blip = tiny_vqa.exact
    images = blip.features([scene_image(number) for number in range(5)])
    texts = scene_questions(1)
    questions = blip.texts.questions([texts[place % len(texts)] for place in range(len(asked))])
    about = [images[number] for number in asked]
    with blip.engine.lock:
        together = question_states(blip.extractor, about, questions)
        for row, image in enumerate(about):
            ids, mask = questions.input_ids[row : row + 1], questions.attention_mask[row : row + 1]
            alone = blip.engine.question_states(ids, mask, blip.extractor.question_kv(image))[0]
            seen = mask[0] == 1
            np.testing.assert_allclose(together[row][seen], alone[seen], atol=2e-5)


@pytest.mark.usefixtures("together")
def test_what_was_read_before_stays_as_it_is(tiny_vqa):
    """Keys and values are put side by side in memory that is used again."""
    blip = tiny_vqa.exact
    images = blip.features([scene_image(number) for number in range(6)])
    questions = blip.texts.questions(["is it red?"] * 3)
    with blip.engine.lock:
        first = question_states(blip.extractor, images[:3], questions)
        kept = first.copy()
        question_states(blip.extractor, images[3:], questions)
        again = question_states(blip.extractor, images[:3], questions)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(again, kept)


def test_padding_has_states_where_they_are_wanted(tiny_vqa):
    blip = tiny_vqa.exact
    image = blip.features(scene_image(0))
    questions = blip.texts.questions(["is it red?", "is there a dotted square to the left of the large ring?"])
    with blip.engine.lock:
        without = question_states(blip.extractor, [image] * 2, questions)
        found = question_states(blip.extractor, [image] * 2, questions, with_padding=True)
    assert np.abs(found).max(axis=-1).min() > 0
    kept = questions.attention_mask == 1
    np.testing.assert_allclose(without[kept], found[kept], atol=2e-5)
