"""The timing at full size as a table."""

from dataclasses import replace

from blipvino.measure.race.full_size import FullSize, Measured
from blipvino.measure.race.full_size_table import LABEL, full_size_summary, full_size_table

FOUND = FullSize(
    Measured("FP16", 400_000_000, 1.2, 0.5, 900_000_000),
    Measured("int8", 200_000_000, 0.8, 0.4, 600_000_000),
    parameters=224_000_000,
    new_tokens=11,
    rounds=4,
    arithmetic="float",
    reason="Float arithmetic with 8-bit weights: a CPU",
)


def test_the_table_has_both_models_and_how_many_times_less_the_compressed_one_takes():
    table = full_size_table(FOUND)
    assert "224 million parameters, random weights" in table.title
    assert table.columns == ("", "FP16", "int8", "times less")
    assert table.rows == (
        ("weights", "400.0 MB", "200.0 MB", "2.00"),
        ("caption, 11 tokens", "1,200 ms", "800 ms", "1.50"),
        ("its first token", "500 ms", "400 ms", "1.25"),
        ("each further one", "70.0 ms", "40.0 ms", "1.75"),
        ("peak memory", "900.0 MB", "600.0 MB", "1.50"),
    )


def test_what_was_not_measured_is_left_out_of_the_table():
    unknown = replace(FOUND.original, peak_memory=None, first_token=2.0)
    assert [row[0] for row in full_size_table(replace(FOUND, original=unknown)).rows] == [
        "weights",
        "caption, 11 tokens",
        "its first token",
    ]


def test_the_timing_is_labelled_and_says_where_more_is_to_be_had():
    told = " ".join(full_size_summary(FOUND))
    assert LABEL in told
    assert FOUND.reason in told
    assert "VNNI or AMX" in told
    assert "VNNI or AMX" not in " ".join(full_size_summary(replace(FOUND, arithmetic="int8")))
