"""Images that are known before they are looked at."""

from itertools import count
from pathlib import Path

from blipvino import ImageError
from blipvino.cli.looked_ahead import CALIBRATED_ON, LookedAhead
from blipvino.photos.listing import Listed


def test_images_that_were_listed_ahead_still_come_in_order():
    listed = [Listed(Path(f"{n}.jpg"), ImageError("bad") if n == 1 else None) for n in range(5)]
    images = LookedAhead(iter(listed))
    assert next(images) == listed[0]
    assert images.paths() == [Path("2.jpg"), Path("3.jpg"), Path("4.jpg")]
    assert list(images) == listed[1:]


def test_no_more_are_listed_than_are_needed():
    images = LookedAhead(Listed(Path(f"{n}.jpg")) for n in count())
    assert len(images.paths()) == CALIBRATED_ON == len(images.paths())
    assert next(images).path == Path("0.jpg")
