"""How far a job is: a bar where there is a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from blipvino.batch.batch_rows import OutputRow

_EVERY_SECONDS = 30.0
"""Between two lines."""
_TOLD = 20
"""Errors that are told one by one; all are in the rows."""


class JobProgress:
    """Shows rows, rate, errors, and the time that is left as far as it is known. Used as a context.

    Args:
        show: False is silent.
        tell: is given what is wrong with rows, the first twenty times.

    Attributes:
        shows: whether it does.
    """

    def __init__(self, show: bool = True, tell: Callable[[str], None] = lambda message: None) -> None:
        self.shows = show
        self._console = Console(stderr=True, quiet=not show)
        is_bar = show and self._console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}"),
        )
        self._bar = Progress(*columns, console=self._console, disable=not is_bar)
        self._task = self._bar.add_task("Rows", total=None, told="")
        self._says = show and not is_bar
        self._tell = tell
        self._before = 0
        self._done = 0
        self._failed = 0
        self._total: int | None = None
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Self:
        """Show it."""
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show it no more."""
        self._bar.__exit__(kind, error, trace)

    def begin(self, before: int) -> None:
        """So many rows were done before; from now on time counts."""
        self._before = before
        self._began = self._said = time.monotonic()
        self._bar.reset(self._task, completed=before, told="")

    def expect(self, total: int) -> None:
        """There are so many rows, those that were done before included."""
        self._total = max(total, self._before)
        self._bar.update(self._task, total=self._total)

    def advance(self, row: OutputRow) -> None:
        """A row is done."""
        if row.error is not None:
            self._failed += 1
            self._tell_of(row.error)
        self.advance_by(1)

    def advance_by(self, rows: int) -> None:
        """So many rows are done; what is wrong with them was told before, or is not known here."""
        self._done += rows
        self._bar.update(self._task, advance=rows, told=self._told())
        if self._says and time.monotonic() - self._said >= _EVERY_SECONDS:
            self._said = time.monotonic()
            self.say(f"{self._before + self._done:,}{self._of_total()} rows, {self._told()}")

    def say(self, message: str) -> None:
        """Print one line."""
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def _tell_of(self, error: str) -> None:
        if self._failed <= _TOLD:
            self._tell(error)
        elif self._failed == _TOLD + 1:
            self._tell("further errors are in the column `error` alone")

    def _of_total(self) -> str:
        return "" if self._total is None else f" of {self._total:,}"

    def _told(self) -> str:
        seconds = time.monotonic() - self._began
        rate = self._done / seconds if seconds else 0.0
        told = [f"{rate:,.1f} a second"]
        if self._total is not None and rate:
            left = max(0, self._total - self._before - self._done)
            told.append(f"{timedelta(seconds=round(left / rate))} left")
        if self._failed:
            told.append(f"{self._failed:,} with an error")
        return ", ".join(told)
