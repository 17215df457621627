"""What is known of an image and kept: features that users hold, the cache by content, and the stream of captions."""

import copy
import itertools
import threading
import weakref
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from subjects import EXACT, scene_image, scene_questions, with_engine

from blipvino import Blip, ImageError, ImageFeatures, InputError
from blipvino.runtime.decoding.cross_kv import CrossKV
from blipvino.runtime.features import FeatureCache, FeatureExtractor

SCENES = 4
SHORT = {"max_new_tokens": 8}
OPTIONS = ({}, {"num_beams": 3}, {"do_sample": True, "seed": 5})
scenes = st.integers(0, SCENES - 1)


def png(array):
    """An image as the bytes of a file."""
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def name_question(index):
    return scene_questions(0)[index % 4]


def with_empty_cache(subject, image_cache_bytes=0):
    """A model that no other test has shown images to, with a cache of its own; it shares the compiled graphs."""
    return with_engine(subject.exact, copy.copy(subject.exact.engine), image_cache_bytes)


@pytest.fixture
def count(monkeypatch):
    """Record the number of sources of every call of one of an engine's functions."""

    def count_calls(blip, name):
        calls, original = [], getattr(blip.engine, name)
        monkeypatch.setattr(blip.engine, name, lambda array: calls.append(len(array)) or original(array))
        return calls

    return count_calls


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Each scene in every form that an image has."""
    folder = tmp_path_factory.mktemp("scenes")
    every = []
    for index in range(SCENES):
        array, path = scene_image(index), folder / f"{index}.png"
        path.write_bytes(png(array))
        every.append([array, Image.fromarray(array), png(array), path, str(path)])
    return every


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


# The cache


UNIT = 4
"""Bytes of the least features."""


def features_of(units):
    return ImageFeatures(np.zeros((units, 1), np.float32), "model")


def grow(features, units):
    """What the first question does."""
    features._question_kv = CrossKV({"cross_key.0": np.zeros((1, 1, units, 1), np.float32)})


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
        if growth and features._question_kv is None:
            grow(features, growth)
            cache.trim()
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


# A stream of captions


@settings(max_examples=12, deadline=None)
@given(
    chosen=st.lists(scenes, max_size=14),
    batch_size=st.integers(1, 6),
    options=st.sampled_from(OPTIONS),
    prompt=st.none() | st.just("a large red"),
)
def test_a_stream_says_what_caption_says(tiny_captioner, forms, chosen, batch_size, options, prompt):
    blip, options = tiny_captioner.exact, {**SHORT, **options}
    images = [forms[scene][place % 5] for place, scene in enumerate(chosen)]
    expected = blip.caption(images, prompt, batch_size=3, **options)
    for given_ in (images, tuple(images), iter(images), (image for image in images)):
        assert list(blip.caption_stream(given_, prompt, batch_size=batch_size, **options)) == expected


def test_a_stream_without_a_seed_draws_differently_each_time(tiny_captioner):
    blip, images = tiny_captioner.blip, [scene_image(0)] * 4
    assert len({tuple(blip.caption_stream(images, do_sample=True, **SHORT)) for _ in range(4)}) > 1


class Reading:
    """An iterator over images that knows how many were taken, and how many of those still live."""

    def __init__(self, count):
        self.left, self.taken, self._made = count, 0, []

    def __iter__(self):
        return self

    def __next__(self):
        if self.taken == self.left:
            raise StopIteration
        image = Image.fromarray(scene_image(self.taken % SCENES))
        self.taken += 1
        self._made.append(weakref.ref(image))
        return image

    @property
    def living(self):
        return sum(image() is not None for image in self._made)


@settings(max_examples=12, deadline=None)
@given(length=st.integers(0, 20), batch_size=st.integers(1, 5))
def test_a_stream_reads_three_batches_ahead_at_most(tiny_vqa, length, batch_size):
    reading = Reading(length)
    stream = tiny_vqa.blip.caption_stream(reading, batch_size=batch_size, max_new_tokens=2)
    assert reading.taken == 0
    for yielded, _ in enumerate(stream):
        assert yielded < reading.taken <= yielded + 3 * batch_size
        assert reading.living <= 3 * batch_size
    assert reading.taken == length


def test_a_stream_has_no_end_where_its_images_have_none(tiny_vqa):
    blip, images = tiny_vqa.blip, [scene_image(index) for index in range(3)]
    with_end = blip.caption(images * 5, **SHORT)
    stream = blip.caption_stream(itertools.cycle(images), batch_size=4, **SHORT)
    assert list(itertools.islice(stream, 15)) == with_end
    stream.close()


@settings(max_examples=10, deadline=None)
@given(place=st.integers(0, 12), batch_size=st.integers(1, 5))
def test_a_bad_image_raises_at_its_turn(tiny_vqa, place, batch_size):
    images = [scene_image(index % SCENES) for index in range(13)]
    expected = tiny_vqa.blip.caption(images[:place], max_new_tokens=3)
    images[place] = b"no image"
    before = set(threading.enumerate())
    stream, found = tiny_vqa.blip.caption_stream(iter(images), batch_size=batch_size, max_new_tokens=3), []
    with pytest.raises(ImageError, match="8 bytes"):
        found.extend(stream_into(found, stream))
    assert found == expected[: place // batch_size * batch_size]
    assert set(threading.enumerate()) <= before
    assert next(stream, None) is None


def stream_into(found, stream):
    """Append one by one, so that what came before an error is kept."""
    for text in stream:
        found.append(text)
    return []


@settings(max_examples=10, deadline=None)
@given(taken=st.integers(0, 9), batch_size=st.integers(1, 4))
def test_a_stream_that_is_closed_leaves_no_threads(tiny_vqa, taken, batch_size):
    before = set(threading.enumerate())
    stream = tiny_vqa.blip.caption_stream(itertools.repeat(scene_image(0)), batch_size=batch_size, max_new_tokens=2)
    assert len(list(itertools.islice(stream, taken))) == taken
    stream.close()
    assert set(threading.enumerate()) <= before
    assert next(stream, None) is None


def test_a_stream_at_its_end_leaves_no_threads(tiny_vqa):
    before = set(threading.enumerate())
    assert len(list(tiny_vqa.blip.caption_stream([scene_image(0)] * 5, batch_size=2, **SHORT))) == 5
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"num_beams": 0}, "num_beams"),
        ({"batch_size": 0}, "batch_size"),
        ({"temprature": 2.0}, "temprature"),
        ({"prompt": " "}, "prompt"),
        ({"max_new_tokens": 1000}, "max_new_tokens"),
    ],
)
def test_a_stream_refuses_options_when_it_is_made(tiny_vqa, options, name):
    reading = Reading(3)
    with pytest.raises(InputError, match=name):
        tiny_vqa.blip.caption_stream(reading, **options)
    assert reading.taken == 0


def test_streams_and_calls_may_alternate(tiny_vqa):
    """Each takes the decoder's memory over from the one before."""
    blip, images = tiny_vqa.blip, [scene_image(index) for index in range(SCENES)]
    captions, answer = blip.caption(images, **SHORT), blip.answer(images[1], "red?", **SHORT)
    forwards = blip.caption_stream(images, batch_size=1, **SHORT)
    backwards = blip.caption_stream(images[::-1], batch_size=3, **SHORT)
    found = []
    for one, other in zip(forwards, backwards, strict=True):
        found.append((one, other))
        assert blip.answer(images[1], "red?", **SHORT) == answer
    assert found == list(zip(captions, captions[::-1], strict=True))


@pytest.mark.parametrize("kind", ["array", "pillow", "path", "bytes", "features", "nothing"])
def test_a_stream_takes_no_single_image(tiny_vqa, kind):
    array = scene_image(0)
    one = {
        "array": array,
        "pillow": Image.fromarray(array),
        "path": "a.png",
        "bytes": png(array),
        "features": tiny_vqa.exact.features(array),
        "nothing": None,
    }[kind]
    with pytest.raises(InputError, match="images must be an iterable of images"):
        tiny_vqa.exact.caption_stream(one, **SHORT)


def test_an_iterator_that_raises_does_so_at_its_turn(tiny_vqa):
    def images():
        yield from [scene_image(0)] * 5
        raise ImageError("sample 6 cannot be decoded")

    stream, found = tiny_vqa.exact.caption_stream(images(), batch_size=2, **SHORT), []
    with pytest.raises(ImageError, match="sample 6"):
        stream_into(found, stream)
    assert len(found) == 4


def test_a_failed_question_leaves_the_cache_within_its_limit(tiny_vqa, monkeypatch):
    blip = with_empty_cache(tiny_vqa, image_cache_bytes=5000)

    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(blip.engine, "question_states", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        blip.answer(scene_image(0), "red?")
    assert blip.extractor.cache.nbytes <= 5000
