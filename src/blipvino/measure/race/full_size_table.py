"""The demo's timing at full size as a table, and what to make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from blipvino.measure.race.full_size import FullSize
from blipvino.text.tables import TextTable
from blipvino.text.units import megabytes, milliseconds

Number = TypeVar("Number", int, float)

LABEL = "BLIP-base, random weights: speed and size depend on shapes alone."
"""What it is; its texts mean nothing."""


def full_size_table(found: FullSize) -> TextTable:
    """Size, time and memory, with how many times less the compressed model takes."""
    before, after = found.original, found.compressed
    rows = [
        _row("weights", megabytes, before.weights, after.weights),
        _row(f"caption, {found.new_tokens} tokens", milliseconds, before.caption, after.caption),
        _row("its first token", milliseconds, before.first_token, after.first_token),
    ]
    further = [(one.caption - one.first_token) / (found.new_tokens - 1) for one in (before, after)]
    if min(further) > 0:  # on a busy machine the difference of two medians may be anything
        rows.append(_row("each further one", milliseconds, *further))
    if before.peak_memory and after.peak_memory:
        rows.append(_row("peak memory", megabytes, before.peak_memory, after.peak_memory))
    title = f"Full size, {found.parameters / 1e6:.0f} million parameters, random weights"
    return TextTable(title, ("", before.name, after.name, "times less"), tuple(rows))


def full_size_summary(found: FullSize) -> Iterator[str]:
    """What it is, what this machine computes with, and where more is to be had."""
    yield f"{LABEL} Medians of {found.rounds} captions each, the two taking turns."
    yield f"{found.reason}."
    if found.arithmetic == "float":
        yield (
            "So 8 bits halve the weights that are read, which is most of a further token's time, but not the "
            "arithmetic, which is most of the first one's. CPUs with VNNI or AMX compute in 8 bits, and gain there too."
        )


def _row(name: str, told: Callable[[Number], str], before: Number, after: Number) -> tuple[str, ...]:
    return name, told(before), told(after), f"{before / after:.2f}"
