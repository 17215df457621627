"""Statements that say less than a caption: what they say, and of which scenes they are true."""

import re
from itertools import permutations

import numpy as np
import pytest

from blipvino.demo.captions import FROM_THE_TOP, caption, caption_from_the_top, references
from blipvino.demo.naming import VALUES
from blipvino.demo.scenes import sample_scene, scene_rng
from blipvino.demo.statements import dense, falsified, listed, placed, short, true_of

DRAWN = {"short": short, "listed": listed, "placed": placed}


@pytest.fixture(scope="module")
def scenes():
    return [sample_scene(split, index) for split in ("train", "test") for index in range(150)]


@pytest.fixture(scope="module")
def statements(scenes):
    """Of each kind one a scene, where it has one."""
    return [
        (scene, statement)
        for scene in scenes
        for number, draw in enumerate(DRAWN.values())
        if (statement := draw(scene, scene_rng(scene.split, scene.index, 10 + number))) is not None
    ]


def fits(item, words):
    """Whether an object is as a noun phrase says, by its words alone."""
    said = [word for word in words.split() if word not in ("a", "object")]
    return all(word in (item.size, item.texture, item.color, item.shape) for word in said)


def reads_true(text, scene):
    """Whether a text is true of a scene, by its words alone."""
    if match := re.fullmatch("(.+) (left of|right of|above|below) (.+)", text):
        pairs = [(a, b) for a, b in permutations(scene.objects, 2) if fits(a, match[1]) and fits(b, match[3])]
        lies = {
            "left of": lambda a, b: a.x < b.x,
            "right of": lambda a, b: a.x > b.x,
            "above": lambda a, b: a.y < b.y,
            "below": lambda a, b: a.y > b.y,
        }[match[2]]
        return any(lies(a, b) for a, b in pairs)
    phrases = re.split(", | and ", text.removeprefix(FROM_THE_TOP).strip())
    chosen = permutations(scene.objects, len(phrases))
    return any(all(fits(item, words) for item, words in zip(items, phrases, strict=True)) for items in chosen)


def test_a_table_of_scenes_says_what_reading_the_words_says(scenes, statements):
    said = [statement for _, statement in statements]
    found = true_of(said, scenes)
    assert found.shape == (len(said), len(scenes))
    expected = [[reads_true(statement.text, scene) for scene in scenes] for statement in said]
    assert np.array_equal(found, expected)
    assert 0.02 < found.mean() < 0.5  # neither nowhere nor everywhere


def test_what_is_drawn_of_a_scene_holds_in_it(statements):
    assert all(statement.holds(scene) for scene, statement in statements)
    texts = [statement.text for _, statement in statements]
    assert any(" above " in text for text in texts) and any(" and " in text for text in texts)
    assert all(set(re.findall("[a-z]+", text)) - {"a", "and", "object", "of"} for text in texts)


def test_one_word_makes_it_false(statements):
    changed = [(s, t, f) for s, t in statements if (f := falsified(t, s, scene_rng("train", s.index, 20))) is not None]
    assert len(changed) > 0.95 * len(statements)
    for scene, true, false in changed:
        assert not reads_true(false.text, scene)
        words = zip(true.text.split(), false.text.split(), strict=True)
        assert sum(a.strip(",") != b.strip(",") for a, b in words) == 1, (true.text, false.text)
    relations = [true.relation != false.relation for _, true, false in changed if true.relation is not None]
    assert 0.3 < np.mean(relations) < 0.95


def test_dense_statements_are_the_captions(scenes):
    for scene in scenes:
        assert dense(scene).text == caption(scene)
        assert dense(scene, from_the_top=True).text == caption_from_the_top(scene)
        assert dense(scene).text in references(scene)
        assert dense(scene).holds(scene) and dense(scene, from_the_top=True).holds(scene)


def test_a_caption_is_true_of_a_scene_that_shows_more_and_not_of_one_that_shows_less():
    scene = next(s for s in (sample_scene("train", i) for i in range(50)) if len(s.objects) == 4)
    fewer = type(scene)(scene.split, scene.index, scene.objects[:3], scene.backdrop_seed)
    assert dense(fewer).holds(scene) and not dense(scene).holds(fewer)


def test_two_equal_phrases_need_two_objects():
    scene = next(s for s in (sample_scene("train", i) for i in range(50)) if len(s.objects) == 1)
    (item,) = scene.objects
    twice = type(scene)(scene.split, scene.index, (item, item), scene.backdrop_seed)
    assert dense(twice).holds(twice) and not dense(twice).holds(scene)


def test_every_word_is_of_the_world(statements):
    known = {word for values in VALUES.values() for word in values} | {"a", "and", "object", "of", "left", "right"}
    known |= {"above", "below"}
    assert {word for _, s in statements for word in re.findall("[a-z]+", s.text)} <= known
