"""Images of requests: decoded once nothing speaks against them, and held once, however many ask about them."""

from __future__ import annotations

import asyncio
import gc

import numpy as np
import pytest

from blipvino.errors import OverloadError
from blipvino.serve.fetching import Fetcher, FetchRules
from blipvino.serve.held_bytes import ByteBudget
from blipvino.serve.image_intake import ImageIntake
from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import RequestLimits


class Processor:
    """Makes the same pixels of the same file."""

    def pixels(self, files):
        return [np.full((4, 4, 3), sum(file) % 256, np.uint8) for file in files]


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
    first = asyncio.run(made.images(sent, Processor()))
    assert sent == []
    again = asyncio.run(made.images([("d", b"one")], Processor()))
    assert first[0] is first[2] is again[0] is not first[1]
    del first, again
    gc.collect()
    assert len(made._known) == 0


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
            return await intake(Web()).images([("a", "https://a/b")] * count, Processor())

    assert len(asyncio.run(asked(2))) == 2
    with pytest.raises(OverloadError, match="20 bytes already, and 10 more"):
        asyncio.run(asked(3))
    assert budget.held == 0
