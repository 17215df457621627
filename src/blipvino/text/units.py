"""Bytes, seconds and counted things for people."""

from __future__ import annotations

MEGABYTE = 1e6


def megabytes(size: int) -> str:
    """Bytes, in millions."""
    return f"{size / MEGABYTE:,.1f} MB"


def plural(count: int, noun: str) -> str:
    """A noun as it stands behind a count."""
    return noun if count == 1 else f"{noun}s"


def counted(count: int, noun: str) -> str:
    """A count and what is counted, with commas between thousands."""
    return f"{count:,} {plural(count, noun)}"


def milliseconds(seconds: float) -> str:
    """Seconds, in thousandths."""
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:,.0f} ms"
