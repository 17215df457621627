"""A table of text: what the terminal, Markdown and HTML have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TextTable:
    """A table. Every column but the first holds numbers, unless ``numbers`` is off."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: bool = True

    def without_empty_columns(self) -> TextTable:
        """The table without columns in which no row has anything; the first, of names, stays."""
        kept = [place for place in range(len(self.columns)) if not place or any(row[place] for row in self.rows)]
        rows = tuple(tuple(row[place] for place in kept) for row in self.rows)
        return replace(self, columns=tuple(self.columns[place] for place in kept), rows=rows)


def markdown(tables: Sequence[TextTable]) -> str:
    """The tables as Markdown, each under its title."""
    return "\n".join(f"### {table.title}\n\n{markdown_table(table)}" for table in tables)


def markdown_table(table: TextTable) -> str:
    """One table as Markdown, without its title."""
    return "".join(f"{line}\n" for line in _markdown_lines(table))


def _markdown_lines(table: TextTable) -> Iterator[str]:
    rule = "---:" if table.numbers else "---"
    yield _markdown_row(table.columns)
    yield "|---|" + "|".join([rule] * (len(table.columns) - 1)) + "|"
    yield from map(_markdown_row, table.rows)


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
