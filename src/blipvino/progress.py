"""Progress bars on standard error, so that standard output holds results alone."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

from rich import get_console
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")


class Reporter:
    """Shows what long work is doing.

    Args:
        show: False is silent.
        brief: bars vanish when they are full, and those of libraries are not shown: for work of many steps.
    """

    def __init__(self, show: bool = True, brief: bool = False) -> None:
        self.show = show
        self._brief = brief
        # In a notebook, too, as text: its widgets ask for a package of their own, and stay where nothing is shown.
        self._console = Console(stderr=True, quiet=not show, force_jupyter=False)

    def say(self, message: str) -> None:
        """Print one line."""
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def remark(self, message: str | None) -> None:
        """Print one line, if there is something to say."""
        if message is not None:
            self.say(message)

    def track(self, items: Iterable[Item], description: str, total: int | None) -> Generator[Item]:
        """Yield the items under a progress bar; a total of None is not known."""
        if not self.show:
            yield from items
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=self._brief) as progress:
            yield from progress.track(items, total=total, description=description)

    @contextlib.contextmanager
    def around_library(self, name: str) -> Iterator[None]:
        """Send the progress bars that a library prints to standard output where ours go, and hear its warnings only."""
        log = logging.getLogger(name)
        level = log.level
        log.setLevel(logging.WARNING)
        console = get_console()  # which libraries' bars are drawn on
        is_jupyter, console.is_jupyter = console.is_jupyter, False
        try:
            with contextlib.redirect_stdout(sys.stderr if self.show and not self._brief else io.StringIO()):
                yield
        finally:
            log.setLevel(level)
            console.is_jupyter = is_jupyter
