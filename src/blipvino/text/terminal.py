"""Tables of a comparison in the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from blipvino.text.printable import printable
from blipvino.text.tables import TextTable

LEAST_NAME = 12
"""Columns that names keep where the terminal is narrow."""


def rich_table(content: TextTable) -> Table:
    """The table as `rich` draws it."""
    table = Table(title=content.title, title_justify="left", title_style="bold", show_header=any(content.columns))
    for number, column in enumerate(content.columns):
        numbers = content.numbers and number > 0
        # Figures are never cut; their headings wrap, and names as far as they remain to be told apart.
        longest = max((len(row[number]) for row in content.rows), default=0)
        table.add_column(
            column, justify="right" if numbers else "left", min_width=longest if numbers else min(longest, LEAST_NAME)
        )
    for row in content.rows:  # as text, for a string is read as markup, "[bench]" among it
        table.add_row(*(Text(printable(cell)) for cell in row), end_section=row[0] == "all")
    return table
