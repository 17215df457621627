"""Folders and patterns, and the ids of what is in them."""

import os
import pickle

import pytest
from batch_subjects import write_photos

from blipvino.batch.sources.given_source import given_source
from blipvino.errors import DataError, InputError


def rows_of(source):
    return [row for partition in source.partitions() for row in partition.rows()]


def test_ids_are_paths_below_the_folder_however_it_is_given(tmp_path, monkeypatch):
    write_photos(tmp_path / "photos", ["2.png", "10.png", "b/deep/1.JPG", ".hidden/3.png", "notes.txt"])
    expected = ["2.png", "10.png", "b/deep/1.JPG"]
    assert [row.id for row in rows_of(given_source(str(tmp_path / "photos")))] == expected
    monkeypatch.chdir(tmp_path)
    for given in ("photos", "./photos/", "photos/../photos"):
        rows = rows_of(given_source(given))
        assert [row.id for row in rows] == expected
        assert all(row.path.is_file() for row in rows)
    assert given_source("photos").name == given_source(f"{tmp_path}/photos").name == str(tmp_path / "photos")


def test_ids_of_a_pattern_are_below_its_fixed_part(tmp_path):
    write_photos(tmp_path, ["a/1.png", "a/b/2.png", "c/3.png"])
    assert [row.id for row in rows_of(given_source(f"{tmp_path}/**/*.png"))] == ["a/1.png", "a/b/2.png", "c/3.png"]
    assert [row.id for row in rows_of(given_source(f"{tmp_path}/a/*.png"))] == ["1.png"]
    assert [row.id for row in rows_of(given_source(f"{tmp_path}/[ac]"))] == ["a/1.png", "a/b/2.png", "c/3.png"]
    assert [row.id for row in rows_of(given_source(f"{tmp_path}/a/1.png"))] == ["1.png"]


def test_odd_names_have_ids_that_can_be_written_and_files_that_can_be_read(tmp_path):
    names = [b"od\xffd.png", "\udcffe.png".encode("utf-8", "surrogatepass"), b"a\nb.png", "ü [1]*.png".encode()]
    (tmp_path / "photos").mkdir()
    for name in names:
        (tmp_path / "photos" / os.fsdecode(name)).write_bytes(name)
    rows = rows_of(given_source(str(tmp_path / "photos")))
    assert sorted(row.read() for row in rows) == sorted(names)
    assert len({row.id.encode() for row in rows}) == len(names)


def test_a_listing_is_cut_into_partitions_that_cross_processes(tmp_path):
    write_photos(tmp_path / "photos", [f"{number}.png" for number in range(600)])
    source = pickle.loads(pickle.dumps(given_source(str(tmp_path / "photos"))))
    partitions = [pickle.loads(pickle.dumps(each)) for each in source.partitions()]
    assert [len(list(each.rows())) for each in partitions] == [256, 256, 88]
    assert [name for each in partitions for name in each.ids()] == [f"{number}.png" for number in range(600)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_a_row_with_an_error(tmp_path):
    write_photos(tmp_path / "photos", ["1.png", "closed/2.png"])
    (tmp_path / "photos" / "closed").chmod(0)
    rows = rows_of(given_source(str(tmp_path / "photos")))
    assert [row.id for row in rows] == ["1.png", "closed/"]
    assert "cannot be listed" in rows[1].error


def test_what_has_no_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for given in (tmp_path / "empty", tmp_path / "*.png"):
        with pytest.raises(DataError, match="no image"):
            rows_of(given_source(str(given)))
    with pytest.raises(DataError, match="no such folder, image or list"):
        rows_of(given_source(str(tmp_path / "none")))
    for given in ("", "-"):
        with pytest.raises(InputError, match="read again"):
            given_source(given)
