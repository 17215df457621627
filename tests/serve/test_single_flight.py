"""What several ask for at the same time is done once, and given up when nobody waits for it."""

from __future__ import annotations

import asyncio

import pytest

from blipvino.serve.single_flight import SingleFlight


class Work:
    def __init__(self):
        self.begun = self.cancelled = 0
        self.end = asyncio.Event()

    async def __call__(self):
        self.begun += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.begun


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_it_is_done_once():
    async def asked():
        flights, work = SingleFlight(), Work()
        asking = [asyncio.ensure_future(flights.do("key", work)) for _ in range(3)]
        others = [asyncio.ensure_future(flights.do(key, work)) for key in ("other", None, None)]
        await settle()
        work.end.set()
        results = await asyncio.gather(*asking, *others)
        assert work.begun == 4
        assert results[0] == results[1] == results[2]
        assert flights.shared == 2
        await settle()
        await flights.do("key", work)
        assert work.begun == 5

    asyncio.run(asked())


def test_one_that_gives_up_leaves_it_to_the_others():
    async def asked():
        flights, work = SingleFlight(), Work()
        first, second = (asyncio.ensure_future(flights.do("key", work)) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        assert work.cancelled == 0
        second.cancel()
        await settle()
        assert work.cancelled == 1
        third = asyncio.ensure_future(flights.do("key", work))
        await settle()
        work.end.set()
        assert await third == 2

    asyncio.run(asked())


def test_an_error_is_everybodys():
    async def fails():
        await asyncio.sleep(0)
        raise ValueError("no")

    async def asked():
        flights = SingleFlight()
        results = await asyncio.gather(*(flights.do("key", fails) for _ in range(2)), return_exceptions=True)
        assert [str(result) for result in results] == ["no", "no"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await flights.do("key", Work())

    asyncio.run(asked())
