"""How many bytes of requests are held at a time: what all together would be too much is refused.

A request's bytes count from when they arrive until its images are decoded, or it is answered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.types import ASGIApp, Receive, Scope, Send

from blipvino.errors import OverloadError


class ByteBudget:
    """Counts the bytes of all requests. Of one event loop alone.

    Args:
        most: that may be held at a time.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self.held = 0

    @contextmanager
    def of_request(self) -> Iterator[HeldBytes]:
        """What one request holds; nothing any more when the block ends."""
        held = HeldBytes(self)
        token = _current.set(held)
        try:
            yield held
        finally:
            held.release(held.count)
            _current.reset(token)

    def check(self, count: int) -> None:
        """Check that so many bytes more may be held.

        Raises:
            OverloadError: they may not.
        """
        if self.held + count > self._most:
            raise OverloadError(
                f"requests that are being read have {self.held:,} bytes already, and {count:,} more would be over the "
                f"{self._most:,} that may be; try again soon"
            )


class HeldBytes:
    """The bytes of one request.

    Args:
        budget: of all.
    """

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.count = 0

    def check(self, count: int) -> None:
        """As `ByteBudget.check`."""
        self._budget.check(count)

    def take(self, count: int) -> None:
        """Hold so many more.

        Raises:
            OverloadError: that would be too many.
        """
        self._budget.check(count)
        self._budget.held += count
        self.count += count

    def release(self, count: int) -> None:
        """Hold so many less, none at the least."""
        count = min(count, self.count)
        self._budget.held -= count
        self.count -= count


class ByteGuard:
    """Counts the bytes that every request holds.

    Args:
        app: what is inside.
        budget: of all requests.
    """

    def __init__(self, app: ASGIApp, budget: ByteBudget) -> None:
        self._app = app
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self._budget.of_request():
            await self._app(scope, receive, send)


_current: ContextVar[HeldBytes | None] = ContextVar("blipvino_held_bytes", default=None)


def current_bytes() -> HeldBytes:
    """Those of the request that this task is of."""
    return _current.get() or HeldBytes(ByteBudget(math.inf))
