"""Where graphs are read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import openvino as ov

from blipvino.runtime.reading import read_graph


class GraphSource(Protocol):
    """Where a graph comes from."""

    @property
    def digest(self) -> str | None:
        """Of its content, which a compiled graph in the cache must be of; without one nothing is cached."""
        ...

    @property
    def place(self) -> str:
        """Where it is, for people."""
        ...

    def read(self, core: ov.Core) -> ov.Model:
        """The graph, for the caller to change."""
        ...


@dataclass(frozen=True)
class GraphFile:
    """A graph on disk.

    Attributes:
        path: of its ``.xml``, with the ``.bin`` beside it.
        digest: see `GraphSource`.
        check: raises if the files are damaged; called before they are read.
    """

    path: Path
    digest: str | None = None
    check: Callable[[], None] | None = None

    @property
    def place(self) -> str:
        """The bundle's folder."""
        return str(self.path.parent.resolve())

    def read(self, core: ov.Core) -> ov.Model:
        """Check and read it."""
        if self.check is not None:
            self.check()
        return read_graph(core, self.path.stem, self.path)
