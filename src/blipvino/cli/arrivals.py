"""Things that come one by one, and may be long in coming: what is there is worked on while the next is waited for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from blipvino.runtime.arriving import arrival_of

_T = TypeVar("_T")


class Arrivals(Iterator[_T], Generic[_T]):
    """An iterator that another thread takes from, so that it is known whether the next one is there.

    Args:
        items: taken from in that thread, no further ahead than said.
        ahead: how many.
    """

    def __init__(self, items: Iterator[_T], ahead: int) -> None:
        self._items = items
        self._ahead = ahead
        self._changed = threading.Condition()
        self._arrived: deque[_T] = deque()
        self._trouble: BaseException | None = None
        self._has_ended = False
        # A daemon, since it may wait for a line that never comes.
        threading.Thread(target=self._take, name="blipvino-arrivals", daemon=True).start()

    def has_arrived(self) -> bool:
        """Whether the next one, or the end, is there."""
        with self._changed:
            return bool(self._arrived) or self._has_ended

    def __next__(self) -> _T:
        """The next one; waits for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._has_ended)
            if self._arrived:
                self._changed.notify_all()
                return self._arrived.popleft()
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        raise StopIteration

    def _take(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._arrived) < self._ahead)
                    self._arrived.append(item)
                    self._changed.notify_all()
        except BaseException as error:  # raised where it is waited for
            self._trouble = error
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


class Peeked(Iterator[_T], Generic[_T]):
    """An iterator whose first items may be looked at before they are taken.

    Args:
        items: that may know whether the next has arrived.
    """

    def __init__(self, items: Iterator[_T]) -> None:
        self._items = items
        self._have_arrived = arrival_of(items)
        self._seen: deque[_T] = deque()

    def has_arrived(self) -> bool:
        """Whether the next one, or the end, is there."""
        return bool(self._seen) or self._have_arrived()

    def peek(self) -> _T | None:
        """The first one; None where there is none."""
        return self._seen[0] if self._look(1) else None

    @property
    def holds_one(self) -> bool:
        """Whether there is one, and no other; waits for the second."""
        return self._look(1) and not self._look(2)

    def __next__(self) -> _T:
        """The next one."""
        return self._seen.popleft() if self._seen else next(self._items)

    def _look(self, count: int) -> bool:
        """Whether there are so many, which are kept to be taken."""
        while len(self._seen) < count:
            try:
                self._seen.append(next(self._items))
            except StopIteration:
                return False
        return True
