"""Events are sent as they come, to who takes them."""

from __future__ import annotations

import asyncio

import pytest

from blipvino.serve.event_stream import Event, event_stream


class Told:
    """Three events, and whether what tells them was ended."""

    def __init__(self):
        self.told, self.has_ended = 0, False

    async def events(self):
        try:
            for number in range(3):
                self.told += 1
                yield Event({"number": number})
        finally:
            self.has_ended = True


def sent(told, send, version="2.3"):
    """Send a response as a server does."""

    async def never():
        await asyncio.Event().wait()

    async def respond():
        response = await event_stream(told.events(), lambda problem: Event(problem.to_json()), print)
        await response({"type": "http", "asgi": {"spec_version": version}}, never, send)

    asyncio.run(respond())


def test_events_are_sent():
    told, bodies = Told(), []

    async def send(message):
        bodies.append(message.get("body", b""))

    sent(told, send)
    assert b"".join(bodies) == b"".join(b'data: {"number": %d}\n\n' % number for number in range(3))
    assert told.has_ended


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_who_takes_nothing_is_given_up(monkeypatch, caplog, version):
    monkeypatch.setattr("blipvino.serve.event_stream.READER_SECONDS", 0.02)
    told, taken = Told(), []

    async def send(message):
        if message.get("body"):
            if taken:
                await asyncio.Event().wait()
            taken.append(message)

    sent(told, send, version)
    assert (told.told, len(taken), told.has_ended) == (2, 1, True)
    assert "took nothing of its stream for 0.02 s" in caplog.text


def test_slow_events_are_waited_for(monkeypatch):
    """The time is that of the client, not of the text."""
    monkeypatch.setattr("blipvino.serve.event_stream.READER_SECONDS", 0.02)
    bodies = []

    class Slow(Told):
        async def events(self):
            async for event in super().events():
                await asyncio.sleep(0.05)
                yield event

    async def send(message):
        bodies.append(message.get("body", b""))

    sent(Slow(), send)
    assert len([body for body in bodies if body]) == 3
