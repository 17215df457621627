"""Work for a client is given up when the client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

_T = TypeVar("_T")


class ClientGoneError(Exception):
    """Nobody waits for this response any more."""


async def unless_gone(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """The result of the work, which is cancelled when the client disconnects.

    Args:
        request: whose body has been read.
        work: what is done for it.

    Raises:
        ClientGoneError: the client disconnected.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.wait((task, gone))


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
