"""What blocks is done by its priority, and not at all when nobody waits for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from blipvino.serve.background import Background


async def busy(background, *gates):
    """Have both threads wait, each for an event."""
    ready = threading.Barrier(3)

    def work(gate):
        ready.wait(60)
        gate.wait(60)

    tasks = [asyncio.ensure_future(background.do(lambda gate=gate: work(gate))) for gate in gates]
    await asyncio.to_thread(ready.wait, 60)
    return tasks


def test_the_most_urgent_is_next():
    async def asked():
        background, gates, done = Background(), (threading.Event(), threading.Event()), []
        busy_tasks, tasks = await busy(background, *gates), []
        for name, priority in (("low", -10), ("first", 0), ("lower", -11), ("second", 0), ("middle", -1), ("gone", 5)):
            tasks.append(asyncio.ensure_future(background.do(lambda name=name: done.append(name), priority)))
            await asyncio.sleep(0)
        tasks.pop().cancel()
        await asyncio.sleep(0)
        gates[0].set()  # one thread goes on
        await asyncio.gather(*tasks)
        gates[1].set()
        await asyncio.gather(*busy_tasks)
        background.close()
        return done

    assert asyncio.run(asked()) == ["first", "second", "middle", "low", "lower"]


def test_errors_are_raised_where_they_are_waited_for():
    def fails():
        raise ValueError("mine")

    async def asked():
        background = Background()
        with pytest.raises(ValueError, match="mine"):
            await background.do(fails)
        assert await background.do(lambda: 5) == 5
        background.close()

    asyncio.run(asked())


def test_what_was_not_begun_is_given_up_at_the_end():
    async def asked():
        background, gate = Background(), threading.Event()
        tasks = await busy(background, gate, gate)
        waiting = asyncio.ensure_future(background.do(lambda: None))
        await asyncio.sleep(0)
        background.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(asked())
