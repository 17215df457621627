"""The cache of compiled graphs as text: a table of what is in it, a line on all of it, a line on a bundle's part."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from blipvino.bundle.bundle import Bundle, graph_files
from blipvino.graphs.specs import GRAPHS
from blipvino.runtime.compiling.cache import CacheEntry, CompiledCache
from blipvino.text.tables import TextTable
from blipvino.text.units import megabytes

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def cache_table(entries: Sequence[CacheEntry]) -> TextTable:
    """One row a compiled graph. An entry that no start will use says so instead of naming its bundle."""
    now = time.time()
    rows = tuple(_row(entry, now) for entry in entries)
    return TextTable("Compiled graphs", ("graph", "bundle", "digest", "size", "made", "used"), rows)


def cache_line(cache: CompiledCache) -> str:
    """Where the cache is, what is in it and what may be."""
    entries = cache.entries()
    limit = "without limit" if cache.limit_bytes is None else f"of {megabytes(cache.limit_bytes)} at most"
    return f"cache: {len(entries)} compiled graphs, {megabytes(_total(entries))} {limit}, in {cache.folder}"


def bundle_line(cache: CompiledCache, bundle: Bundle) -> str:
    """How much of the cache is this bundle's."""
    names = [name for name in GRAPHS if all(map(bundle.has, graph_files(name)))]
    digests = {bundle.graph_digest(name) for name in names}
    own = [entry for entry in cache.entries() if entry.digest in digests]
    return f"cache: {len(own)} compiled graphs of this bundle, {megabytes(_total(own))}, in {cache.folder}"


def _row(entry: CacheEntry, now: float) -> tuple[str, ...]:
    used = _age(now - entry.used)
    if entry.bundle is None or entry.digest is None or entry.made is None:
        return (entry.graph, "not usable", "", megabytes(entry.size), "", used)
    made = _age(now - datetime.fromisoformat(entry.made).timestamp())
    return (entry.graph, Path(entry.bundle).name, entry.digest[:8], megabytes(entry.size), made, used)


def _age(seconds: float) -> str:
    """So long ago, in the largest unit that fits."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "now"


def _total(entries: Sequence[CacheEntry]) -> int:
    return sum(entry.size for entry in entries)
