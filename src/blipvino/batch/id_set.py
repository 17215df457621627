"""A set of ids in 16 bytes each: a million takes 16 MB."""

from __future__ import annotations

from typing import Any

import numpy as np
import xxhash

_NEW = 2**15
"""Ids that are held as Python's objects, before they become an array."""
_BYTES = 16


class IdSet:
    """Ids that can be asked for. It keeps digests of 128 bits: two ids of a billion are mistaken for one with a
    probability of 10^-21.
    """

    def __init__(self) -> None:
        self._new: set[bytes] = set()
        self._sorted: list[np.ndarray[Any, np.dtype[np.bytes_]]] = []  # each more than twice as long as the next

    def __len__(self) -> int:
        return len(self._new) + sum(map(len, self._sorted))

    def __contains__(self, name: str) -> bool:
        return self._has(_digest(name))

    def add(self, name: str) -> bool:
        """Add an id.

        Returns:
            Whether it is new.
        """
        digest = _digest(name)
        if self._has(digest):
            return False
        self._new.add(digest)
        if len(self._new) >= _NEW:
            self._settle()
        return True

    def _has(self, digest: bytes) -> bool:
        if digest in self._new:
            return True
        for array in self._sorted:
            place = array.searchsorted(digest)
            # An array gives its items without the zeros at their end.
            if place < len(array) and array[place] == digest.rstrip(b"\0"):
                return True
        return False

    def _settle(self) -> None:
        array = np.sort(np.frombuffer(b"".join(self._new), f"S{_BYTES}"))
        self._new = set()
        while self._sorted and len(self._sorted[-1]) <= 2 * len(array):
            array = np.sort(np.concatenate([self._sorted.pop(), array]))
        self._sorted.append(array)


def _digest(name: str) -> bytes:
    return xxhash.xxh3_128_digest(name.encode())
