"""Saying that a source has fewer samples than were asked for: whoever asks for 300 of 12 should not read of 300."""

from __future__ import annotations

from collections.abc import Iterator

Counted = tuple[str, int, int]
"""What was counted, how many were found, and how many were asked for."""


def shortfall(source: str, *counts: Counted) -> str | None:
    """What a source has too few of, in a sentence; None where there is all that was asked for.

    Args:
        source: its name.
        counts: of each thing that was asked for.
    """
    told = list(_short(counts))
    return f"{source} has {' and '.join(told)}" if told else None


def _short(counts: tuple[Counted, ...]) -> Iterator[str]:
    for what, found, asked in counts:
        if found < asked:
            yield f"only {found:,} {what} of the {asked:,} asked for" if found else f"no {what}"
