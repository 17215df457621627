"""Server-sent events: what is told while it is made."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from blipvino.serve.problems import Problem, problem_of

MEDIA_TYPE = "text/event-stream"
READER_SECONDS = 10.0
"""That an event may wait for its client to take it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        data: JSON, or text as it is.
        name: what kind it is; None is the usual kind.
    """

    data: dict[str, Any] | str
    name: str | None = None

    def encode(self) -> bytes:
        """As it is sent."""
        text = self.data if isinstance(self.data, str) else json.dumps(self.data, ensure_ascii=False)
        head = "" if self.name is None else f"event: {self.name}\n"
        return f"{head}data: {text}\n\n".encode()


class _EventResponse(StreamingResponse):
    """Events for a client who takes each in time; one who does not is given up, and what is done for it.

    Args:
        events: as they are sent.
    """

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        super().__init__(events, media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})
        self._events = events

    async def stream_response(self, send: Send) -> None:
        async def in_time(message: Message) -> None:
            async with asyncio.timeout(READER_SECONDS):
                await send(message)

        try:
            async with aclosing(self._events):
                await super().stream_response(in_time)
        except TimeoutError:
            logger.warning("a client took nothing of its stream for %g s, and was given up", READER_SECONDS)


async def event_stream(
    events: AsyncIterator[Event], told: Callable[[Problem], Event], log: Callable[[Exception], None]
) -> StreamingResponse:
    """A response of events. What goes wrong before the first is raised; afterwards it is an event.

    Args:
        events: an asynchronous generator; it is closed when the client has gone, or takes nothing any more.
        told: makes the event that tells what went wrong.
        log: is given what went wrong.

    Raises:
        Exception: whatever the events raise before the first.
    """
    first = await anext(events, None)

    async def encoded() -> AsyncGenerator[bytes]:
        async with aclosing(events):  # type: ignore[type-var]  # an iterator that has no aclose() fails the tests
            try:
                if first is not None:
                    yield first.encode()
                async for event in events:
                    yield event.encode()
            except Exception as error:  # the status was sent already
                log(error)
                yield told(problem_of(error)).encode()

    return _EventResponse(encoded())
