"""Tables of text."""

from blipvino.text.tables import TextTable


def test_columns_without_anything_are_left_out_but_the_names():
    table = TextTable("Answers", ("", "count", "accuracy"), (("", "3", ""), ("", "", "")))
    assert table.without_empty_columns() == TextTable("Answers", ("", "count"), (("", "3"), ("", "")))
    whole = TextTable("Answers", ("", "count"), (("a", ""), ("b", "1")))
    assert whole.without_empty_columns() == whole
