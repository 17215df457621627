"""Work that blocks, on threads of its own: it holds up neither the event loop nor the decoding of images."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from heapq import heappop, heappush
from threading import Lock
from typing import Any, TypeVar

_T = TypeVar("_T")
_THREADS = 2
"""More would wait for one another: what they run takes turns."""
_Entry = tuple[int, int, Future[Any], Callable[[], Any]]


class Background:
    """Does work, two at a time, the most urgent first; what nobody waits for any more is not begun."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blipvino-background")
        self._lock = Lock()
        self._numbers = itertools.count()
        self._waiting: list[_Entry] = []  # a heap

    async def do(self, work: Callable[[], _T], priority: int = 0) -> _T:
        """The result of the work.

        Args:
            work: what is done.
            priority: the higher, the sooner; of the same one after the other.
        """
        result = Future[_T]()
        with self._lock:
            entry: _Entry = -priority, next(self._numbers), result, partial(copy_context().run, work)
            heappush(self._waiting, entry)
        self._pool.submit(self._do_next)
        return await asyncio.wrap_future(result)

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for _, _, result, _ in self._waiting:
                result.cancel()

    def _do_next(self) -> None:
        with self._lock:
            _, _, result, work = heappop(self._waiting)
        if not result.set_running_or_notify_cancel():
            return
        try:
            result.set_result(work())
        except BaseException as error:  # whatever it is, it is raised where it is waited for
            result.set_exception(error)
