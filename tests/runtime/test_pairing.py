"""Images, questions and answers in every form that has an order, and each question with its image."""

from collections import UserList
from pathlib import Path

import numpy as np
import pytest
from subjects import EXACT, QUESTIONS, scene_image

from blipvino import (
    AnswerList,
    Blip,
    ImageError,
    InputError,
)

SHORT = {"max_new_tokens": 8}


def test_questions_come_in_any_sequence_or_iterator(demo):
    image, asked = scene_image(0), ["what color is the circle?", "is there a ring?"]
    expected = demo.blip.answer(image, asked)
    for questions in (tuple(asked), np.array(asked), np.array(asked, dtype=object), UserList(asked)):
        assert demo.blip.answer(image, questions) == expected
    assert demo.blip.answer(image, (text for text in asked)) == expected
    assert demo.blip.answer_ids(image, iter(asked)) == demo.blip.answer_ids(image, asked)
    assert demo.blip.rank(image, np.array(asked), ["yes", "no"]) == demo.blip.rank(image, asked, ["yes", "no"])


def test_answers_come_in_any_sequence_or_iterator(demo):
    question, answers = (scene_image(0), "what color is the circle?"), ["red", "blue", "large"]
    expected = demo.blip.rank(*question, answers)
    for given in (tuple(answers), np.array(answers), iter(answers), AnswerList(np.array(answers), demo.blip.texts)):
        found = demo.blip.rank(*question, given)
        assert found == expected
        assert {type(text) for text in found.answers} == {str}


def test_images_come_in_any_sequence(demo):
    images = [scene_image(index) for index in range(2)]
    assert demo.blip.caption(UserList(images), **SHORT) == demo.blip.caption(images, **SHORT)


def test_an_iterator_of_images_is_for_a_stream(demo):
    for call in (demo.blip.caption, demo.blip.features, lambda images: demo.blip.answer(images, "red?")):
        with pytest.raises(InputError, match="caption_stream"):
            call(scene_image(index) for index in range(2))


def test_an_open_file_is_no_image(demo):
    with Path(__file__).open("rb") as file, pytest.raises(ImageError, match="found BufferedReader"):
        demo.blip.caption(file)


@pytest.mark.parametrize("unordered", [{"a.jpg"}, {"a.jpg": 1}])
def test_what_has_no_order_is_refused(demo, unordered):
    for call in (
        demo.blip.caption,
        demo.blip.caption_stream,
        demo.blip.feature_stream,
        lambda given: demo.blip.answer("a.jpg", given),
        lambda given: demo.blip.rank("a.jpg", "red?", given),
    ):
        with pytest.raises(InputError, match=f"found a {type(unordered).__name__}"):
            call(unordered)


def test_an_image_is_encoded_once_for_all_its_questions(tiny_vqa, monkeypatch):
    encoded = []
    blip = Blip.load(tiny_vqa.bundle, options=EXACT, image_cache_bytes=0)
    engine, original = blip.engine, blip.engine.image_embeds
    monkeypatch.setattr(engine, "image_embeds", lambda pixels: encoded.append(len(pixels)) or original(pixels))
    first, second = scene_image(0), scene_image(1)
    blip.answer(first, QUESTIONS, batch_size=3, **SHORT)
    assert sum(encoded) == 1
    encoded.clear()
    blip.answer([first] * 4 + [second] * 4, QUESTIONS, batch_size=3, **SHORT)
    assert sum(encoded) == 2


def test_counts_must_agree(answerer):
    images = [scene_image(0), scene_image(1)]
    with pytest.raises(InputError, match="2 images but 3 questions"):
        answerer.blip.answer(images, QUESTIONS[:3])
    with pytest.raises(InputError, match="1 images but 2 questions"):
        answerer.blip.answer(images[:1], QUESTIONS[:2])
    with pytest.raises(InputError, match="0 images but 1 questions"):
        answerer.blip.answer([], QUESTIONS[:1])
