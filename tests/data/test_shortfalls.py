"""Saying that there is less than was asked for."""

from blipvino.data.shortfalls import shortfall


def test_only_what_is_short_is_said():
    assert shortfall("folder:photos", ("samples", 300, 300), ("images", 5, 0)) is None
    told = shortfall("folder:photos", ("samples", 12, 5000), ("images", 3, 3), ("claims", 0, 9))
    assert told == "folder:photos has only 12 samples of the 5,000 asked for and no claims"
