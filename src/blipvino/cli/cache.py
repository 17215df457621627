"""``blipvino cache``, and what is kept between starts as text."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from blipvino.bundle.bundle import Bundle, graph_files
from blipvino.cli.options import DEFAULT_CACHE, CacheOption, JsonFlag
from blipvino.cli.output import print_json, print_tables
from blipvino.errors import InputError
from blipvino.graphs.specs import GRAPHS
from blipvino.pretrained.bundle_cache import BundleCache, KeptBundle
from blipvino.runtime.compiling.cache import CacheEntry, CompiledCache, cache_limit
from blipvino.text.tables import TextTable
from blipvino.text.units import megabytes

_DAY = 86400
_UNITS = ((_DAY, "d"), (3600, "h"), (60, "min"))

ClearFlag = Annotated[bool, typer.Option("--clear", help="Remove all of it, and say what was freed.")]
OlderThanOption = Annotated[
    float | None, typer.Option(metavar="DAYS", help="With --clear: only what was not used for so many days.")
]
RemoveOption = Annotated[
    list[str] | None,
    typer.Option(
        "--remove",
        metavar="NAME",
        help="Remove one: a bundle's name or a compiled graph's, as listed, or how it begins.",
    ),
]

app = typer.Typer()


@dataclass(frozen=True)
class _Kept:
    """What a cache folder holds, or some of it."""

    graphs: Sequence[CacheEntry]
    bundles: Sequence[KeptBundle]

    @property
    def size(self) -> int:
        """Bytes."""
        return _total(self.graphs) + sum(bundle.size for bundle in self.bundles)

    def where(self, holds: Callable[[CacheEntry | KeptBundle], bool]) -> _Kept:
        """The part for which it holds."""
        return _Kept([each for each in self.graphs if holds(each)], [each for each in self.bundles if holds(each)])


@app.command(epilog="Example: blipvino cache --clear --older-than 30")
def cache(
    folder: CacheOption = DEFAULT_CACHE,
    clear: ClearFlag = False,
    older_than: OlderThanOption = None,
    remove: RemoveOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List what is kept between starts, last used first: bundles of checkpoints, and compiled graphs. Or remove it."""
    if older_than is not None and not clear:
        raise InputError("--older-than has no effect without --clear; add it, or leave both out")
    if clear and remove:
        raise InputError("--clear removes all there is and --remove one; give one of them")
    compiled, bundles = CompiledCache(folder, cache_limit()), BundleCache(folder)
    kept = _Kept(compiled.entries(), bundles.entries())
    if clear or remove:
        going = _named(kept, remove, folder) if remove else _unused(kept, older_than)
        compiled.remove(going.graphs)
        bundles.remove(going.bundles)
        bundles.tidy()
        _print_removed(going, folder, as_json)
    elif as_json:
        listed = [bundle.to_json() for bundle in kept.bundles]
        content = compiled.to_json()
        print_json({**content, "total_bytes": kept.size, "entries": [*listed, *content["entries"]]})
    else:
        print_tables([table for table in (bundle_table(kept.bundles), cache_table(kept.graphs)) if table.rows])
        typer.echo(bundles_line(bundles, kept.bundles))
        typer.echo(cache_line(compiled))


def _unused(kept: _Kept, days: float | None) -> _Kept:
    """What was not used for so many days; all of it where nobody says how many."""
    if days is None:
        return kept
    if not 0 <= days < inf:
        raise InputError(f"--older-than is {days:g}, expected days, 0 or more")
    since = time.time() - days * _DAY
    return kept.where(lambda each: each.used < since)


def _named(kept: _Kept, names: Sequence[str], folder: Path) -> _Kept:
    """What has one of these names, or the one name that begins so: narrow terminals cut names off.

    Raises:
        InputError: nothing has one of them, or several begin so.
    """
    known = {*map(_name_of, kept.graphs), *map(_name_of, kept.bundles)}
    meant = {_whole_name(name, known, folder) for name in names}
    return kept.where(lambda each: _name_of(each) in meant)


def _whole_name(name: str, known: Set[str], folder: Path) -> str:
    begun = name.removesuffix("…")
    found = [name] if name in known else [each for each in known if begun and each.startswith(begun)]
    if not found:
        raise InputError(f"{folder} holds nothing called {name!r}; `blipvino cache` lists what there is")
    if len(found) > 1:
        raise InputError(f"{len(found)} names in {folder} begin with {begun!r}; give more of the one that is meant")
    return found[0]


def _name_of(each: CacheEntry | KeptBundle) -> str:
    return each.folder.name if isinstance(each, KeptBundle) else each.path.stem


def _print_removed(removed: _Kept, folder: Path, as_json: bool) -> None:
    bundles, graphs = len(removed.bundles), len(removed.graphs)
    if as_json:
        counted = {"removed": bundles + graphs, "removed_bundles": bundles, "freed_bytes": removed.size}
        print_json({"folder": str(folder), **counted})
    else:
        told = f"removed {bundles} bundles and {graphs} compiled graphs"
        typer.echo(f"{folder}: {told}, freed {megabytes(removed.size)}")


def bundle_table(bundles: Sequence[KeptBundle]) -> TextTable:
    """One row a bundle. One that no start will use says so instead of naming its checkpoint."""
    now = time.time()
    rows = tuple(_bundle_row(each, now) for each in bundles)
    return TextTable("Bundles of checkpoints", ("name", "checkpoint", "revision", "size", "used"), rows)


def _bundle_row(each: KeptBundle, now: float) -> tuple[str, ...]:
    used = _age(now - each.used)
    if each.bundle is None:
        return (each.folder.name, "not usable", "", megabytes(each.size), used)
    source = each.bundle.manifest.source
    return (each.folder.name, source.name, (source.revision or "")[:8], megabytes(each.size), used)


def bundles_line(cache: BundleCache, bundles: Sequence[KeptBundle]) -> str:
    """Where bundles are, and how much of them there is."""
    size = sum(each.size for each in bundles)
    return f"bundles: {len(bundles)}, {megabytes(size)}, in {cache.folder}"


def cache_table(entries: Sequence[CacheEntry]) -> TextTable:
    """One row a compiled graph. An entry that no start will use says so instead of naming its bundle."""
    now = time.time()
    rows = tuple(_row(entry, now) for entry in entries)
    return TextTable("Compiled graphs", ("name", "bundle", "digest", "size", "made", "used"), rows)


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
        return (entry.path.stem, "not usable", "", megabytes(entry.size), "", used)
    made = _age(now - datetime.fromisoformat(entry.made).timestamp())
    return (entry.path.stem, Path(entry.bundle).name, entry.digest[:8], megabytes(entry.size), made, used)


def _age(seconds: float) -> str:
    """So long ago, in the largest unit that fits."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "now"


def _total(entries: Sequence[CacheEntry]) -> int:
    return sum(entry.size for entry in entries)
