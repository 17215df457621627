"""Server-sent events: what is told while it is made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.responses import StreamingResponse

from blipvino.serve.problems import Problem, problem_of

MEDIA_TYPE = "text/event-stream"


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


async def event_stream(
    events: AsyncIterator[Event], told: Callable[[Problem], Event], log: Callable[[Exception], None]
) -> StreamingResponse:
    """A response of events. What goes wrong before the first is raised; afterwards it is an event.

    Args:
        events: an asynchronous generator; it is closed when the client has gone.
        told: makes the event that tells what went wrong.
        log: is given what went wrong.

    Raises:
        Exception: whatever the events raise before the first.
    """
    first = await anext(events, None)

    async def encoded() -> AsyncIterator[bytes]:
        async with aclosing(events):  # type: ignore[type-var]  # an iterator that has no aclose() fails the tests
            try:
                if first is not None:
                    yield first.encode()
                async for event in events:
                    yield event.encode()
            except Exception as error:  # the status was sent already
                log(error)
                yield told(problem_of(error)).encode()

    return StreamingResponse(encoded(), media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})
