"""Work that several ask for at the same time, done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

_T = TypeVar("_T")


class SingleFlight:
    """Has work done once for all who ask for it while it is done. Of one event loop alone.

    It is given up when the last who asked has given up.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, tuple[asyncio.Task[Any], list[object]]] = {}
        self.shared = 0
        """Times that work was joined that another had begun."""

    async def do(self, key: Hashable | None, work: Callable[[], Awaitable[_T]]) -> _T:
        """The result of the work.

        Args:
            key: the same for the same work; None is never the same.
            work: begun unless it is being done.
        """
        if key is None:
            return await work()
        if key in self._running:
            self.shared += 1
            task, waiting = self._running[key]
        else:
            task, waiting = asyncio.ensure_future(_awaited(work)), []
            self._running[key] = task, waiting
            task.add_done_callback(lambda done: self._forget(key, done))
        me = object()
        waiting.append(me)
        try:
            result: _T = await asyncio.shield(task)
            return result
        finally:
            waiting.remove(me)
            if not waiting and not task.done():
                self._forget(key, task)  # who comes now begins anew
                task.cancel()

    def _forget(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if key in self._running and self._running[key][0] is task:
            del self._running[key]


async def _awaited(work: Callable[[], Awaitable[_T]]) -> _T:
    return await work()
