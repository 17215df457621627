"""Features that users hold in place of an image, and the cache of them by the image's content."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subjects import EXACT, scene_image, scene_questions, with_empty_cache

from blipvino import (
    AnswerList,
    Blip,
    ImageFeatures,
    InputError,
)
from blipvino.runtime.decoding.cross_kv import CrossKV
from blipvino.runtime.features import FeatureCache, FeatureExtractor

SCENES = 4
SHORT = {"max_new_tokens": 8}
OPTIONS = ({}, {"num_beams": 3}, {"do_sample": True, "seed": 5})
scenes = st.integers(0, SCENES - 1)


def name_question(index):
    return scene_questions(0)[index % 4]


# Features in place of an image


FORMS = 6
"""Those of `forms`, and features."""
pictures = st.lists(st.tuples(scenes, st.integers(0, FORMS - 1)), min_size=1, max_size=7)


def as_given(blip, forms, chosen):
    """Images in their chosen forms; the last form is features, made apart for every use."""
    return [
        [*forms[scene], None][form] if form < FORMS - 1 else blip.features(forms[scene][0]) for scene, form in chosen
    ]


@settings(max_examples=12, deadline=None)
@given(chosen=pictures, batch_size=st.integers(1, 8), options=st.sampled_from(OPTIONS))
def test_captions_do_not_depend_on_the_form(tiny_captioner, forms, chosen, batch_size, options):
    blip = tiny_captioner.exact
    options = {**SHORT, **options, "batch_size": batch_size}
    expected = blip.caption([forms[scene][0] for scene, _ in chosen], **options)
    assert blip.caption(as_given(blip, forms, chosen), **options) == expected
    assert list(blip.caption_stream(as_given(blip, forms, chosen), **options)) == expected


@settings(max_examples=12, deadline=None)
@given(chosen=pictures, batch_size=st.integers(1, 8), options=st.sampled_from(OPTIONS))
def test_answers_do_not_depend_on_the_form(tiny_vqa, forms, chosen, batch_size, options):
    blip = tiny_vqa.exact
    options = {**SHORT, **options, "batch_size": batch_size}
    asked = [name_question(place) for place in range(len(chosen))]
    expected = blip.answer([forms[scene][0] for scene, _ in chosen], asked, **options)
    assert blip.answer(as_given(blip, forms, chosen), asked, **options) == expected


def test_one_image_and_several(tiny_vqa, forms):
    blip = tiny_vqa.blip
    one = blip.features(forms[0][0])
    assert isinstance(one, ImageFeatures)
    assert blip.features(one) is one
    listed = blip.features([forms[1][0], one, forms[1][2]])
    assert [type(features) for features in listed] == [ImageFeatures] * 3
    assert listed[1] is one
    np.testing.assert_array_equal(listed[0].image_embeds, listed[2].image_embeds)
    assert blip.features([]) == []
    assert isinstance(blip.caption(one, **SHORT), str)
    assert isinstance(blip.answer(one, "red?", **SHORT), str)
    assert len(blip.answer(one, ["red?", "blue?"], **SHORT)) == 2


def test_features_do_not_depend_on_what_they_came_with(tiny_captioner):
    blip, images = with_empty_cache(tiny_captioner), [scene_image(index) for index in range(SCENES)]
    for alone, together in zip(map(blip.features, images), blip.features(images), strict=True):
        np.testing.assert_array_equal(alone.image_embeds, together.image_embeds)
        assert together.image_embeds.base is None  # keeping one does not keep the others


def test_an_image_is_looked_at_once_for_all_texts(tiny_vqa, count):
    blip = with_empty_cache(tiny_vqa)
    vision, projected = count(blip, "image_embeds"), count(blip, "question_kv")
    features = blip.features(scene_image(0))
    assert (sum(vision), projected) == (1, [])
    for number in range(3):
        blip.answer(features, scene_questions(number), batch_size=3, **SHORT)
        blip.answer([features] * 3, "red?", batch_size=2, **SHORT)
        blip.caption(features, **SHORT)
        list(blip.caption_stream([features] * 5, batch_size=2, **SHORT))
    assert (sum(vision), projected) == (1, [1])


def test_the_first_question_adds_its_keys_and_values(tiny_vqa):
    blip = with_empty_cache(tiny_vqa)
    features = blip.features(scene_image(0))
    text, bare = blip.config.text, features.image_embeds.nbytes
    assert features.nbytes == bare
    blip.caption(features, **SHORT)
    assert features.nbytes == bare
    blip.answer(features, "red?", **SHORT)
    positions = blip.config.vision.num_positions
    added = 2 * text.num_hidden_layers * positions * text.num_attention_heads * text.head_size * 4
    assert features.nbytes == bare + added
    blip.answer(features, ["blue?", "green?"], **SHORT)
    assert features.nbytes == bare + added


def test_features_of_another_bundle_are_refused(tiny_vqa, demo):
    blip, image = tiny_vqa.blip, scene_image(0)
    foreign = demo.blip.features(image)
    for use in (
        lambda: blip.features(foreign),
        lambda: blip.caption(foreign, **SHORT),
        lambda: blip.caption([image, foreign], **SHORT),
        lambda: blip.answer(foreign, "red?", **SHORT),
        lambda: blip.answer([image, foreign], "red?", **SHORT),
        lambda: list(blip.caption_stream([image, foreign], **SHORT)),
    ):
        with pytest.raises(InputError, match="another bundle"):
            use()
    assert with_empty_cache(tiny_vqa).caption(blip.features(image), **SHORT) == blip.caption(
        image, **SHORT
    )  # the same bundle


def test_what_is_kept_cannot_be_written_to(demo):
    blip, question = Blip.load(demo.bundle, options=EXACT), "is there a ring?"
    features, answers = blip.features(scene_image(0)), AnswerList(["yes", "no"], blip.texts)

    def work():
        return blip.caption(features), blip.answer(features, question), blip.rank(features, question, answers)

    expected = work()
    kept = [features.image_embeds, *blip.extractor.question_kv(features).tensors.values()]
    kept += [answers.tokens, answers.lengths, answers.prefixes]
    for array in kept:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert work() == expected


def test_features_survive_pickling(demo):
    features = demo.blip.features(scene_image(0))
    expected = demo.blip.answer(features, "is there a ring?")
    assert demo.blip.answer(pickle.loads(pickle.dumps(features)), "is there a ring?") == expected


# The cache


UNIT = 4
"""Bytes of the least features."""


def features_of(units):
    return ImageFeatures(np.zeros((units, 1), np.float32), "model")


def grow(features, units):
    """What the first question does."""
    features._text_kv = CrossKV({"cross_key.0": np.zeros((1, 1, units, 1), np.float32)})


def longest_that_fits(used, limit):
    """Of keys in order of their last use, as many of the latest as the limit holds."""
    rests = (dict(list(used.items())[start:]) for start in range(len(used) + 1))
    return next(rest for rest in rests if sum(features.nbytes for features in rest.values()) <= limit)


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(0, 12),
    uses=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5), st.none() | st.integers(1, 5)), max_size=30),
)
def test_what_was_used_last_is_kept_within_the_limit(limit, uses):
    """Each use names an image, its size should it be new, and by how much a first question lets it grow."""
    cache, kept = FeatureCache(limit * UNIT), {}
    for key, units, growth in uses:
        found = cache.get(bytes([key]))
        assert found is kept.get(key)
        features = kept.pop(key, None) or features_of(units)
        kept[key] = features
        if found is None:
            cache.put(bytes([key]), features)
            kept = longest_that_fits(kept, limit * UNIT)
        if growth and features._text_kv is None:
            grow(features, growth)
            cache.recount(features)
            kept = longest_that_fits(kept, limit * UNIT)
        assert cache.nbytes == sum(features.nbytes for features in kept.values()) <= limit * UNIT


class MeanEngine:
    """An engine that sees an image's mean, and counts."""

    def __init__(self):
        self.encoded = 0

    def image_embeds(self, pixels):
        self.encoded += len(pixels)
        return pixels.reshape(len(pixels), 1, -1).mean(axis=2, keepdims=True).astype(np.float32)


def pixels_of(content):
    return np.full((2, 2, 3), content, np.uint8)


@settings(max_examples=100, deadline=None)
@given(limit=st.integers(0, 5), contents=st.lists(st.integers(0, 6), max_size=20))
def test_images_shown_one_by_one_are_looked_at_unless_kept(limit, contents):
    engine = MeanEngine()
    extractor = FeatureExtractor(engine, None, "model", FeatureCache(limit * UNIT))
    for place, content in enumerate(contents):
        latest = list(dict.fromkeys(contents[:place][::-1]))[:limit]
        before = engine.encoded
        (features,) = extractor.encode([pixels_of(content)])
        assert features.image_embeds.item() == content
        assert engine.encoded - before == (content not in latest)


@settings(max_examples=100, deadline=None)
@given(limit=st.integers(0, 5), batches=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=5), max_size=8))
def test_images_of_a_batch_are_looked_at_once_each(limit, batches):
    engine = MeanEngine()
    extractor = FeatureExtractor(engine, None, "model", FeatureCache(limit * UNIT))
    shown = set()
    for batch in batches:
        before = engine.encoded
        found = extractor.encode([pixels_of(content) for content in batch])
        assert [features.image_embeds.item() for features in found] == batch
        assert len({id(features) for features in found}) == len(set(batch))
        assert len(set(batch) - shown) <= engine.encoded - before <= len(set(batch))
        shown |= set(batch)
        assert extractor.cache.nbytes == UNIT * min(limit, len(shown))


def test_the_cache_goes_by_content(tiny_vqa, forms, count):
    blip = with_empty_cache(tiny_vqa, 2**20)
    vision = count(blip, "image_embeds")
    first = {id(blip.features(form)) for form in forms[0]}
    assert (len(first), sum(vision)) == (1, 1)
    blip.caption([*forms[0], *forms[1]], batch_size=3, **SHORT)
    assert sum(vision) == 2
    blip.answer([*forms[0], *forms[1], *forms[2]], "red?", batch_size=4, **SHORT)
    list(blip.caption_stream([*forms[1], *forms[3]], batch_size=3, **SHORT))
    assert sum(vision) == 4
    changed = forms[0][0].copy()
    changed[40:60, 40:60] ^= 255
    assert blip.caption(changed, **SHORT) == with_empty_cache(tiny_vqa).caption(changed, **SHORT)
    assert sum(vision) == 5


def test_an_array_that_is_overwritten_is_another_image(tiny_vqa):
    blip, image = with_empty_cache(tiny_vqa, 2**20), scene_image(0).copy()
    before = blip.caption(image, **SHORT)
    image[:] = scene_image(1)
    assert blip.caption(image, **SHORT) == with_empty_cache(tiny_vqa).caption(scene_image(1), **SHORT)
    image[:] = scene_image(0)
    assert blip.caption(image, **SHORT) == before


def test_no_cache_keeps_nothing(tiny_vqa, count):
    blip = Blip.load(tiny_vqa.bundle, options=EXACT, image_cache_bytes=0)
    vision = count(blip, "image_embeds")
    for number in range(1, 4):
        blip.caption(scene_image(0), **SHORT)
        assert (sum(vision), blip.extractor.cache.nbytes) == (number, 0)


@pytest.fixture(scope="module")
def by_cache(tiny_vqa):
    """The same model without a cache, and with some too small for a question, for two images, and for all."""
    size = with_empty_cache(tiny_vqa).features(scene_image(0)).nbytes
    return [with_empty_cache(tiny_vqa, limit) for limit in (0, size + 1, 2 * size + 100, 8 * size, 2**24)]


calls = st.lists(
    st.tuples(st.sampled_from(["caption", "answer", "stream", "features"]), st.lists(scenes, min_size=1, max_size=4)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=8, deadline=None)
@given(calls=calls)
def test_results_do_not_depend_on_the_cache(by_cache, forms, calls):
    def work(blip):
        for verb, chosen in calls:
            images = [forms[scene][place % 5] for place, scene in enumerate(chosen)]
            if verb == "caption":
                yield blip.caption(images, batch_size=2, **SHORT)
            elif verb == "answer":
                yield blip.answer(images, [name_question(scene) for scene in chosen], batch_size=2, **SHORT)
            elif verb == "stream":
                yield list(blip.caption_stream(images, batch_size=2, **SHORT))
            else:
                yield [features.image_embeds.tolist() for features in blip.features(images)]
            assert blip.extractor.cache.nbytes <= blip.extractor.cache._limit

    first, *others = (list(work(blip)) for blip in by_cache)
    for other in others:
        assert other == first


def test_held_features_outlive_the_cache(tiny_vqa, forms, count):
    size = with_empty_cache(tiny_vqa).features(scene_image(0)).nbytes
    blip = with_empty_cache(tiny_vqa, size)
    vision = count(blip, "image_embeds")
    held = [blip.features(every[0]) for every in forms]
    kept = [features.image_embeds.copy() for features in held]
    blip.features([every[0] for every in forms])
    assert sum(vision) == 2 * SCENES - 1  # the last one was kept still
    vision.clear()
    expected = with_empty_cache(tiny_vqa).answer([every[0] for every in forms], "red?", **SHORT)
    assert blip.answer(held, "red?", **SHORT) == expected
    assert blip.caption(held, **SHORT) == with_empty_cache(tiny_vqa).caption([every[0] for every in forms], **SHORT)
    for features, embeds in zip(held, kept, strict=True):
        np.testing.assert_array_equal(features.image_embeds, embeds)
    assert vision == []


def test_a_failed_question_leaves_the_cache_within_its_limit(tiny_vqa, monkeypatch):
    blip = with_empty_cache(tiny_vqa, image_cache_bytes=5000)

    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(blip.engine, "question_states", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        blip.answer(scene_image(0), "red?")
    assert blip.extractor.cache.nbytes <= 5000


def test_keys_and_values_are_made_once_and_the_cache_kept_to_its_limit(tiny_vqa, count):
    size = with_empty_cache(tiny_vqa).features(scene_image(0)).nbytes
    blip = with_empty_cache(tiny_vqa, 2 * size)
    projected = count(blip, "question_kv")
    first, second = blip.features([scene_image(0), scene_image(1)])
    assert blip.extractor.cache.nbytes == 2 * size
    made = blip.extractor.question_kv(second)
    assert blip.extractor.cache.nbytes == 0
    assert blip.extractor.question_kv(second) is made
    assert (first.nbytes, second.nbytes, projected) == (size, size + made.nbytes, [1])
