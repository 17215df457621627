"""One writer of an index at a time; who comes second is told of the first."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from blipvino.errors import RetrievalError
from blipvino.files.one_writer import one_writer


def writing(index: Path) -> AbstractContextManager[None]:
    """Be the one that writes an index while the block runs. The system ends it when the process ends, however it ends.

    Raises:
        RetrievalError: another process is writing it, or nobody can.
    """
    return one_writer(index, "writer.lock", "writer.json", RetrievalError)
