"""The sizes of published checkpoints, and the page that shows them."""

from pathlib import Path

from benchmarks.published_sizes import published_sizes, sizes_table
from blipvino.text.tables import markdown_table

PAGE = Path(__file__).parents[2] / "docs/which-checkpoint.md"


def test_the_documentation_has_the_table():
    assert markdown_table(sizes_table(published_sizes())) in PAGE.read_text(encoding="utf-8")
