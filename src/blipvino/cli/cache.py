"""``blipvino cache``, and the cache of compiled graphs as text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from blipvino.bundle.bundle import Bundle, graph_files
from blipvino.cli.options import DEFAULT_CACHE, CacheOption, JsonFlag
from blipvino.cli.output import print_json, print_tables
from blipvino.graphs.specs import GRAPHS
from blipvino.runtime.compiling.cache import CacheEntry, CompiledCache, cache_limit
from blipvino.text.tables import TextTable
from blipvino.text.units import megabytes

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))

ClearFlag = Annotated[bool, typer.Option("--clear", help="Remove all of it, and say what was freed.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino cache --clear")
def cache(folder: CacheOption = DEFAULT_CACHE, clear: ClearFlag = False, as_json: JsonFlag = False) -> None:
    """List the compiled graphs that are kept between starts, last used first; or remove them."""
    kept = CompiledCache(folder, cache_limit())
    if clear:
        _clear(kept, as_json)
    elif as_json:
        print_json(kept.to_json())
    else:
        entries = kept.entries()
        if entries:
            print_tables([cache_table(entries)])
        typer.echo(cache_line(kept))


def _clear(kept: CompiledCache, as_json: bool) -> None:
    removed = kept.clear()
    freed = sum(entry.size for entry in removed)
    if as_json:
        print_json({"folder": str(kept.folder), "removed": len(removed), "freed_bytes": freed})
    else:
        typer.echo(f"{kept.folder}: removed {len(removed)} compiled graphs, freed {megabytes(freed)}")


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
