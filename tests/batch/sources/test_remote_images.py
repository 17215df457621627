"""Images of a bucket as the input of a job."""

import pickle

import pytest
from object_store import picture

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.sources.remote_images import RemoteImages
from blipvino.errors import DataError


def rows(url):
    found = []
    for partition in pickle.loads(pickle.dumps(list(RemoteImages(url).partitions()))):
        assert [row.id for row in partition.rows()] == list(partition.ids())
        found += partition.rows()
    return found


def test_images_of_a_bucket_are_named_below_what_was_given(bucket):
    names = [f"{'abc'[number % 3]}/{number}.png" for number in range(12)]
    for number, name in enumerate(names):
        bucket.put(f"holiday/{name}", picture(number))
    url = f"{bucket.url}/holiday"
    bucket.put("holiday/notes.txt")
    bucket.put("else.png")
    found = rows(url)
    assert sorted(row.id for row in found) == sorted(names)
    assert next(row for row in found if row.id == "b/4.png").read() == picture(4)
    assert rows(f"{url}/") == found
    assert [row.id for row in rows(f"{url}/a/*.png")] == ["0.png", "3.png", "6.png", "9.png"]
    assert rows(f"{url}/a/3.png") == [InputRow(f"{url}/a/3.png", f"{url}/a/3.png")]
    assert len(rows(bucket.url)) == 13


def test_objects_may_have_any_name(bucket):
    names = ["a b/é #1.jpg", "a::b.jpg", "a?b*[c].jpg", "a%20b.jpg"]
    for name in names:
        bucket.put(f"odd/{name}", name.encode())
    assert {row.id: row.read() for row in rows(f"{bucket.url}/odd")} == {name: name.encode() for name in names}


def test_where_there_are_no_images_it_is_said(bucket):
    bucket.put("texts/a.txt")
    for url, message in (
        (f"{bucket.url}/texts", "no images in it; expected files ending in .*, or a list or tar shards by their names"),
        (f"{bucket.url}/*.jpg", "no image matches this pattern"),
        (f"{bucket.url}/none", "there is no such file or folder"),
        ("s3://no-such-bucket-here", "there is no such bucket"),
    ):
        with pytest.raises(DataError, match=message):
            list(RemoteImages(url).partitions())
