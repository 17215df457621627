"""Contrasts: a true text about a scene, and the same with one word changed."""

import re
from dataclasses import replace

import pytest

from blipvino.demo.captions import caption
from blipvino.demo.contrasts import CONTRAST_TYPES, sample_contrasts
from blipvino.demo.naming import VALUES
from blipvino.demo.scenes import HELD_OUT, IMAGE_SIZE, sample_scene, scene_rng

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def pairs():
    """(scene, contrast) of all splits."""
    scenes = [sample_scene(split, index) for split in SPLITS for index in range(300)]
    return [
        (scene, pair) for scene in scenes for pair in sample_contrasts(scene, scene_rng(scene.split, scene.index, 2), 6)
    ]


def described(scene, words):
    """The one object that a noun phrase describes."""
    wanted = [word for word in words.split() if word != "object"]
    attributes = [next(name for name, values in VALUES.items() if word in values) for word in wanted]
    found = [o for o in scene.objects if all(getattr(o, a) == w for a, w in zip(attributes, wanted, strict=True))]
    assert len(found) == 1, words
    return found[0]


def is_true(scene, text):
    """Whether a scene is as a text says, by the words alone."""
    if match := re.fullmatch(r"the (.+) is (left of|right of|above|below) the (.+)", text):
        first, second = described(scene, match[1]), described(scene, match[3])
        return {
            "left of": first.x < second.x,
            "right of": first.x > second.x,
            "above": first.y < second.y,
            "below": first.y > second.y,
        }[match[2]]
    if match := re.fullmatch(r"the (.+) is (?:on|at) the (left|right|top|bottom)", text):
        item, middle = described(scene, match[1]), IMAGE_SIZE / 2
        return {"left": item.x < middle, "right": item.x > middle, "top": item.y < middle, "bottom": item.y > middle}[
            match[2]
        ]
    return text == caption(scene)


STATEMENTS = ("short", "listed", "placed")
"""What is true of them is tested with `blipvino.demo.statements`."""


def test_one_word_makes_the_difference_between_true_and_false(pairs):
    assert {pair.kind for _, pair in pairs} == set(CONTRAST_TYPES)
    for scene, pair in pairs:
        if pair.kind not in STATEMENTS:
            assert is_true(scene, pair.true) and not is_true(scene, pair.false), pair
        words = list(zip(pair.true.split(), pair.false.split(), strict=False))
        changed = {(a.strip(","), b.strip(",")) for a, b in words if a != b}
        assert len(pair.true.split()) == len(pair.false.split())
        assert len(changed) == 1, pair


def test_every_type_of_contrast_is_frequent_and_types_differ_in_a_scene(pairs):
    counts = {kind: sum(pair.kind == kind for _, pair in pairs) for kind in CONTRAST_TYPES}
    assert min(counts.values()) > len(pairs) / 20
    scene = next(s for s in (sample_scene("train", i) for i in range(50)) if len(s.objects) == 4)
    kinds = [pair.kind for pair in sample_contrasts(scene, scene_rng("train", scene.index, 2), 4)]
    assert len(set(kinds)) == 4


def test_training_calls_no_combination_false_that_it_never_shows():
    hidden = [set(combination) - {"plain"} for combinations in HELD_OUT.values() for combination in combinations]
    for index in range(600):
        scene = sample_scene("train", index)
        for pair in sample_contrasts(scene, scene_rng("train", index, 2), 6):
            if pair.kind in ("color", "shape", "texture", *STATEMENTS):
                textured = {"striped", "dotted"}
                assert not any(
                    combination <= words and bool(words & textured) == bool(combination & textured)
                    for combination in hidden
                    for words in changed_phrases(pair)
                )


def changed_phrases(pair):
    """Words of the noun phrases that only the false text has."""
    true, false = (re.split(r", | and | (?:left of|right of|above|below) ", text) for text in (pair.true, pair.false))
    return [set(b.split()) for a, b in zip(true, false, strict=True) if a != b]


def test_a_scene_of_one_object_has_contrasts_too():
    scene = next(s for s in (sample_scene("test", i) for i in range(50)) if len(s.objects) == 1)
    pairs = sample_contrasts(scene, scene_rng("test", scene.index, 2), 6)
    assert len(pairs) == 6 and not {"relation", "placed"} & {pair.kind for pair in pairs}
    assert pairs == sample_contrasts(scene, scene_rng("test", scene.index, 2), 6)


def test_a_plain_texture_has_no_contrast():
    scene = sample_scene("train", 0)
    plain = replace(scene, objects=(replace(scene.objects[0], texture="plain"),))
    assert CONTRAST_TYPES["texture"](plain, scene_rng("train", 0, 2)) is None
