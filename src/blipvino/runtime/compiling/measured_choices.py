"""Which way to compute each graph was measured to be the fastest, as the cache of compiled graphs has it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Set
from dataclasses import asdict, dataclass
from typing import Any

from blipvino.bundle.bundle import Bundle, graph_files
from blipvino.graphs.specs import GRAPHS
from blipvino.machine.host import this_host
from blipvino.runtime.compiling.cache import CacheEntry, CompiledCache
from blipvino.runtime.compiling.sizes import ANY, Sizes
from blipvino.runtime.compiling.tuning import Tuning


@dataclass(frozen=True)
class MeasuredChoice:
    """What was measured of a graph.

    Attributes:
        graph: its name.
        sizes: that it was compiled for.
        tuning: the ways to compute it, and the one that is used.
    """

    graph: str
    sizes: Sizes
    tuning: Tuning

    @property
    def label(self) -> str:
        """The graph, with the length that tells its forms apart: "question, 16 tokens"."""
        if self.sizes.tokens != ANY:
            return f"{self.graph}, {self.sizes.tokens} tokens"
        return f"{self.graph}, {self.sizes.positions} positions" if self.sizes.positions != ANY else self.graph

    def __str__(self) -> str:
        """One line."""
        return f"{self.label}: {self.tuning}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"graph": self.graph, "sizes": asdict(self.sizes), **self.tuning.to_json()}


def measured_choices(cache: CompiledCache, bundle: Bundle) -> list[MeasuredChoice]:
    """What was measured of a bundle's graphs on this host, in the order in which they run."""
    names = [name for name in GRAPHS if all(map(bundle.has, graph_files(name)))]
    digests = {bundle.graph_digest(name) for name in names}
    entries = reversed(cache.entries())  # what was used last wins
    found = {(each.graph, each.sizes): each for entry in entries for each in _of_entry(entry, digests)}
    return in_order(found.values())


def in_order(choices: Iterable[MeasuredChoice]) -> list[MeasuredChoice]:
    """In the order in which the graphs run."""
    names = list(GRAPHS)
    return sorted(choices, key=lambda each: (names.index(each.graph), *asdict(each.sizes).values()))


def _of_entry(entry: CacheEntry, digests: Set[str]) -> Iterator[MeasuredChoice]:
    """What was measured of a compiled graph, if it is one of these graphs, of this host, and one image at a time."""
    if entry.record is None or entry.digest not in digests:
        return
    key = json.loads(entry.record.fields["key"])
    tuning = entry.record.fields["notes"].get("tuning")
    here = key["details"].get("host") == this_host().signature and "NUM_STREAMS" not in key["properties"]
    if tuning is not None and here:
        yield MeasuredChoice(entry.graph, Sizes(**key["details"]["sizes"]), Tuning.from_json(tuning))
