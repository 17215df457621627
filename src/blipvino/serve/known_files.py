"""Files that came before, by their digests."""

from __future__ import annotations

import threading
from collections import OrderedDict

FileKey = tuple[str, bytes]
"""The name of a model, and a file's digest: models resize images each in its own way."""


class KnownFiles:
    """What the pixels of files are known by. Of those that were used last, for any thread.

    Args:
        most: that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._digests: OrderedDict[FileKey, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, file: FileKey) -> bytes | None:
        """The digest of a file's pixels, if it is known; it is now the one used last."""
        with self._lock:
            if file in self._digests:
                self._digests.move_to_end(file)
            return self._digests.get(file)

    def put(self, file: FileKey, pixels: bytes) -> None:
        """Keep the digest of a file's pixels."""
        with self._lock:
            self._digests[file] = pixels
            self._digests.move_to_end(file)
            if len(self._digests) > self._most:
                self._digests.popitem(last=False)
