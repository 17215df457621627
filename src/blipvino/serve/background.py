"""Work that blocks, on threads of its own: it holds up neither the event loop nor the decoding of images."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

_T = TypeVar("_T")
_THREADS = 2
"""More would wait for one another: what they run takes turns."""


class Background:
    """Does work in order, two at a time; what nobody waits for any more is not begun."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blipvino-background")

    async def do(self, work: Callable[[], _T]) -> _T:
        """The result of the work."""
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(work))

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
