"""A stream of captions: its features are prefetched, no further than three batches, and none of its threads stay."""

import itertools
import threading
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import png
from PIL import Image
from subjects import scene_image

from blipvino import ImageError, InputError

SCENES = 4
SHORT = {"max_new_tokens": 8}
OPTIONS = ({}, {"num_beams": 3}, {"do_sample": True, "seed": 5})
scenes = st.integers(0, SCENES - 1)


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


def own_threads():
    """All threads but those that a model works with, which stay a while for its next texts."""
    return {thread for thread in threading.enumerate() if thread.name not in {"blipvino-encode", "blipvino-decode"}}


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
    before = own_threads()
    stream, found = tiny_vqa.blip.caption_stream(iter(images), batch_size=batch_size, max_new_tokens=3), []
    with pytest.raises(ImageError, match="8 bytes"):
        found.extend(stream_into(found, stream))
    assert found == expected
    assert own_threads() <= before
    assert next(stream, None) is None


def stream_into(found, stream):
    """Append one by one, so that what came before an error is kept."""
    for text in stream:
        found.append(text)
    return []


@settings(max_examples=10, deadline=None)
@given(taken=st.integers(0, 9), batch_size=st.integers(1, 4))
def test_a_stream_that_is_closed_leaves_no_threads(tiny_vqa, taken, batch_size):
    before = own_threads()
    stream = tiny_vqa.blip.caption_stream(itertools.repeat(scene_image(0)), batch_size=batch_size, max_new_tokens=2)
    assert len(list(itertools.islice(stream, taken))) == taken
    stream.close()
    assert own_threads() <= before
    assert next(stream, None) is None


def test_a_stream_at_its_end_leaves_no_threads(tiny_vqa):
    before = own_threads()
    assert len(list(tiny_vqa.blip.caption_stream([scene_image(0)] * 5, batch_size=2, **SHORT))) == 5
    assert own_threads() <= before


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
    assert len(found) == 5
