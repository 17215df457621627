"""Tables of a comparison in the terminal."""

from __future__ import annotations

from rich.table import Table

from blipvino.report.tables import TextTable


def rich_table(content: TextTable) -> Table:
    """The table as `rich` draws it."""
    table = Table(title=content.title, title_justify="left", title_style="bold", show_header=any(content.columns))
    for number, column in enumerate(content.columns):
        numbers = content.numbers and number > 0
        table.add_column(column, justify="right" if numbers else "left", no_wrap=numbers)
    for row in content.rows:
        table.add_row(*row, end_section=row[0] == "all")
    return table
