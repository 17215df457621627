"""Tar shards as WebDataset has them."""

import io
import json
import pickle
import tarfile

import pytest

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.sources.list_columns import ListColumns
from blipvino.batch.sources.tar_shards import TarShards
from blipvino.errors import DataError


def write_tar(path, members, mode="w"):
    """A tar file of members: a name and its bytes, or the name of the member that it is a link to."""
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.LNKTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def members(count, start=0, **fields):
    """Of so many samples: a picture, its text, and its record."""
    for number in range(start, start + count):
        yield f"{number:04}.jpg", b"picture %d" % number + bytes(700 * number)
        yield f"{number:04}.txt", b"text %d\n" % number
        yield f"{number:04}.json", json.dumps({"uid": number, "ask": f"what is {number}?", **fields}).encode()


def rows(text, **columns):
    """All rows, by way of pickles as they cross processes; their ids are those that are told without images."""
    found = []
    for partition in pickle.loads(pickle.dumps(list(TarShards(str(text), ListColumns(**columns)).partitions()))):
        of_partition = list(partition.rows())
        assert [row.id for row in of_partition] == list(partition.ids())
        assert partition.key is not None
        found += of_partition
    return found


@pytest.fixture
def shards(tmp_path):
    for number in range(3):
        write_tar(tmp_path / f"{number:03}.tar", members(4, 4 * number))
    return tmp_path


@pytest.mark.parametrize("pattern", ["*.tar", "{000..002}.tar", "{000,001,002}.tar", "**/0*.tar", "00[0-2].tar"])
def test_shards_are_named_together(shards, pattern):
    (shards / "readme.md").write_text("no shard")
    found = rows(shards / pattern)
    assert [row.id for row in found] == [f"{number // 4:03}.tar/{number:04}" for number in range(12)]
    assert found[5].image == b"picture 5" + bytes(3500)


def test_a_shard_may_be_compressed(tmp_path):
    for suffix in ("gz", "bz2", "xz"):
        path = write_tar(tmp_path / f"a.tar.{suffix}", members(3), f"w:{suffix}")
        assert [row.id for row in rows(path)] == [f"a.tar.{suffix}/{number:04}" for number in range(3)]


def test_columns_come_from_texts_and_records(shards):
    found = rows(shards / "001.tar", id="uid", question="ask")
    assert [(row.id, row.question) for row in found] == [(str(n), f"what is {n}?") for n in range(4, 8)]
    assert [row.question for row in rows(shards / "000.tar", question="txt")] == [f"text {n}" for n in range(4)]


def test_a_sample_may_have_several_pictures(tmp_path):
    path = write_tar(
        tmp_path / "a.tar", [("x.left.PNG", b"left"), ("x.right.png", b"right"), ("x.json", b"{}"), ("y.mp4", b"film")]
    )
    assert rows(path)[0] == InputRow("a.tar/x", b"left")
    assert rows(path, image="right.png")[0] == InputRow("a.tar/x", b"right")
    refused = rows(path)[1]
    assert refused.image is None
    assert refused.error == "a.tar/y: has no image among mp4"


def test_odd_members_are_told_or_passed_over(tmp_path):
    path = write_tar(
        tmp_path / "a.tar",
        [
            ("./in/a.jpg", b"1"),
            ("./in/._a.jpg", b"what another system keeps of a"),
            ("in/.hidden", b""),
            ("in/no-suffix", b""),
            ("b.jpg", "in/a.jpg"),
            ("in.two/c.d/e.jpg", b"2"),
            ("b.jpg", b"3"),
            ("é ü.jpg", b"4"),
            ("b.jpg", b"5"),
        ],
    )
    found = rows(path)
    assert [row.id.removeprefix("a.tar/") for row in found] == ["in/a", "b", "in.two/c.d/e", "b", "é ü", "b"]
    assert [row.image for row in found] == [b"1", None, b"2", b"3", b"4", b"5"]
    assert found[1].error == "a.tar/b: jpg is a link in the tar file, expected a file"


def test_records_that_are_none_are_errors_of_their_rows(tmp_path):
    samples = [("a.jpg", b"1"), ("a.json", b'{"ask": "what?"}'), ("b.jpg", b"2"), ("b.json", b"{"), ("c.jpg", b"3")]
    path = write_tar(tmp_path / "a.tar", [*samples, ("c.json", b"[]"), ("d.jpg", b"4"), ("d.json", b'{"ask": null}')])
    first, *broken, last = rows(path, question="ask")
    assert first.question == "what?"
    assert "a.tar/b: json is not valid JSON" in broken[0].error
    assert broken[1].error == "a.tar/c: json is no JSON object"
    assert (last.image, last.question, last.error) == (b"4", None, None)
    assert all(row.error is None for row in rows(path))  # nothing was asked of the records
    with pytest.raises(DataError, match=r"a.tar: b: json is not valid JSON .*, expected its 'ask' there"):
        rows(path, id="ask")


@pytest.mark.parametrize("columns", [{"image": "png"}, {"question": "asked"}, {"id": "url"}])
def test_a_column_that_is_missing_is_said_before_any_row(shards, columns):
    with pytest.raises(DataError, match=r"000\.tar: no sample .* has .*-column\); they have (ask, )?jpg, json"):
        next(TarShards(str(shards / "*.tar"), ListColumns(**columns)).partitions())


def test_an_id_that_is_missing_later_is_named(tmp_path):
    write_tar(tmp_path / "a.tar", [*members(2), ("x.jpg", b"")])
    with pytest.raises(DataError, match=r"a\.tar: x has no 'uid'; every sample needs one"):
        rows(tmp_path / "a.tar", id="uid")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_no_cut_goes_unseen(tmp_path, mode):
    """Python takes a tar file that is cut between members, or damaged, for one that ends there."""
    whole = write_tar(tmp_path / "a.tar", members(5), mode).read_bytes()
    expected = rows(tmp_path / "a.tar")
    for cut in range(0, len(whole), 256 if mode == "w" else 16):
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        for read in (rows, lambda path: [list(one.ids()) for one in TarShards(str(path), ListColumns()).partitions()]):
            try:
                found = read(tmp_path / "a.tar")
            except DataError as error:
                assert "a.tar: " in str(error)
                assert len(str(error).splitlines()) == 1
            else:
                assert found in (expected, [[row.id for row in expected]])  # nothing but padding is missing


def test_a_damaged_header_is_no_end(tmp_path):
    whole = bytearray(write_tar(tmp_path / "a.tar", [("a.jpg", b"1"), ("b.jpg", b"2")]).read_bytes())
    whole[1024:1030] = b"\xff" * 6
    (tmp_path / "a.tar").write_bytes(whole)
    with pytest.raises(DataError, match=r"a.tar: this tar file is damaged \(.*\) after a.jpg; fetch or make it again"):
        rows(tmp_path / "a.tar")


def test_what_is_no_shard_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar file" * 100)
    (tmp_path / "empty.tar").write_bytes(b"")
    for name, message in (
        ("a.tar", "is no tar file"),
        ("empty.tar", "is no tar file, or an empty"),
        ("none.tar", "cannot be read"),
        ("b*.tar", "no file matches this pattern"),
        ("{0..1.tar", "the braces do not match|cannot be read"),
    ):
        with pytest.raises(DataError, match=message):
            rows(tmp_path / name)
    write_tar(tmp_path / "a.tar", [])
    assert rows(tmp_path / "a.tar") == []
