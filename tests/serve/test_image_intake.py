"""Images of requests: decoded once nothing speaks against them, and held once, however many ask about them."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc

import numpy as np
import pytest

from blipvino.errors import OverloadError
from blipvino.runtime.features import ImageFeatures
from blipvino.serve.fetching import Fetcher, FetchRules
from blipvino.serve.held_bytes import ByteBudget
from blipvino.serve.image_intake import ImageIntake, decoded_base64
from blipvino.serve.known_files import KnownFiles
from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import RequestLimits


class Model:
    """Makes the same pixels of the same file, and knows the images that it is told of."""

    def __init__(self, name="model"):
        self.name = name
        self.processor = self.extractor = self
        self.decoded = []
        self.features = {}

    def pixels(self, files):
        self.decoded += files
        return [np.full((4, 4, 3), sum(file) % 256, np.uint8) for file in files]

    def known(self, digest):
        return self.features.get(digest)


class Web(Fetcher):
    """Gives files of ten bytes."""

    def __init__(self):
        super().__init__(FetchRules.public(100, 5.0))

    async def fetch(self, name, url, allowance):
        allowance.spend(10)
        return b"x" * 10


def intake(fetcher=None):
    return ImageIntake(RequestLimits(images=3), fetcher)


def test_the_same_image_is_held_once():
    made = intake()
    sent = [("a", b"one"), ("b", b"two"), ("c", b"one")]
    first = asyncio.run(made.images(sent, Model()))
    assert sent == []
    again = asyncio.run(made.images([("d", b"one")], Model()))
    assert first[0] is first[2] is again[0] is not first[1]
    del first, again
    gc.collect()
    assert len(made._known) == 0


def test_a_file_that_came_before_is_not_decoded_while_its_image_is_known():
    made, model, other = intake(), Model(), Model("other")

    def seen(model):
        return asyncio.run(made.images([("a", b"one")], model))[0]

    first = seen(model)
    assert seen(model).digest == first.digest
    assert model.decoded == [b"one", b"one"]
    model.features[first.digest] = features = ImageFeatures(np.zeros((2, 3), np.float32), "model")
    del first
    gc.collect()
    again = seen(model)
    assert again.content is features
    assert (model.decoded, seen(other).digest) == ([b"one", b"one"], again.digest)
    assert other.decoded == [b"one"]
    assert isinstance(seen(other).content, np.ndarray), "it is what another model knows"
    model.features.clear()
    del again
    gc.collect()
    assert seen(model).content.shape == (4, 4, 3)


@pytest.mark.parametrize(("files", "is_at_once"), [((b"abc",), True), ((b"ab", b"cd"), False), ((b"abcd",), False)])
def test_the_loop_hashes_no_more_of_a_request_than_takes_no_time(monkeypatch, files, is_at_once):
    monkeypatch.setattr("blipvino.serve.image_intake._AT_ONCE_BYTES", 3)
    made, model, threads = intake(), Model(), set()
    for _ in range(2):
        seen = asyncio.run(made.images([("a", file) for file in files], model))
        model.features = {image.digest: ImageFeatures(np.zeros((2, 3), np.float32), "model") for image in seen}
    monkeypatch.setattr(model, "known", lambda digest: threads.add(threading.get_ident()) or model.features[digest])
    asyncio.run(made.images([("a", file) for file in files], model))
    assert (threads == {threading.get_ident()}) == is_at_once


def test_what_is_known_of_files_is_bounded():
    known = KnownFiles(2)
    for name in b"abac":
        known.put(("model", bytes([name])), b"pixels")
    assert [known.get(("model", bytes([name]))) for name in b"abc"] == [b"pixels", None, b"pixels"]
    assert known.get(("other", b"a")) is None


@pytest.mark.parametrize(
    ("sent", "code"),
    [([], "image_count"), ([("a", b"x")] * 4, "image_count"), ([("a", b"x"), ("b", "HTTPS://a/b")], "no_fetching")],
)
def test_what_can_be_told_before_is_checked_before(sent, code):
    with pytest.raises(RequestError) as refused:
        intake().check(sent)
    assert refused.value.problem.code == code


def test_what_was_fetched_is_held_until_it_is_decoded():
    budget = ByteBudget(25)

    async def asked(count):
        with budget.of_request():
            return await intake(Web()).images([("a", "https://a/b")] * count, Model())

    assert len(asyncio.run(asked(2))) == 2
    with pytest.raises(OverloadError, match="20 bytes already, and 10 more"):
        asyncio.run(asked(3))
    assert budget.held == 0


def test_blanks_in_base64_take_no_memory():
    text = "AAA A\n" * 200_000
    tracemalloc.start()
    try:
        assert decoded_base64("image", text) == bytes(600_000)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(text)
    finally:
        tracemalloc.stop()
