"""Shards and the record of them agree after `settle`, whatever a job that was killed left."""

import pyarrow as pa
import pytest
from pyarrow import parquet
from pyarrow.fs import LocalFileSystem

from blipvino.batch.on_ray.ray_checkpoint import ShardPlace


def place_below(folder):
    return ShardPlace(LocalFileSystem(), *(str(folder / name) for name in ("shards", "record", "run")))


@pytest.fixture
def place(tmp_path):
    for name in ("shards", "record"):
        (tmp_path / name).mkdir()
    return place_below(tmp_path)


def lay(tmp_path, shards, record):
    for folder, names in (("shards", shards), ("record", record)):
        for name in names:
            (tmp_path / folder / name).write_bytes(b"")


def left(tmp_path):
    return [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("shards", "record")]


def test_what_agrees_stays(place, tmp_path):
    lay(tmp_path, ["part-a-0.jsonl", "part-a-1.jsonl"], ["part-a-0.parquet", "part-a-1.parquet"])
    assert place.settle() == []
    assert left(tmp_path) == [["part-a-0.jsonl", "part-a-1.jsonl"], ["part-a-0.parquet", "part-a-1.parquet"]]


def test_what_is_pending_is_left_to_ray(place, tmp_path):
    lay(
        tmp_path,
        ["part-a-0.parquet", "part-a-1.parquet.partial"],
        ["part-a-0.pending.parquet", "part-a-1.pending.parquet"],
    )
    assert place.settle() == []


def test_a_record_that_is_pending_again_goes(place, tmp_path):
    lay(tmp_path, ["part-a-0.parquet"], ["part-a-0.parquet", "part-a-0.pending.parquet"])
    assert place.settle() == ["part-a-0.parquet"]
    assert left(tmp_path) == [["part-a-0.parquet"], ["part-a-0.pending.parquet"]]


def test_a_shard_without_a_record_goes_and_a_record_without_a_shard(place, tmp_path):
    lay(tmp_path, ["part-a-0.parquet", "part-a-1.parquet.partial"], ["part-a-2.parquet"])
    assert place.settle() == ["part-a-0.parquet", "part-a-1.parquet.partial", "part-a-2.parquet"]
    assert left(tmp_path) == [[], []]


def test_nothing_is_there_yet(tmp_path):
    assert place_below(tmp_path).settle() == []


def test_the_record_outlives_the_job(place):
    config = place.config()
    assert config.delete_checkpoint_on_success is False
    assert (config.id_column, config.checkpoint_path) == ("id", place.record)


def test_one_run_at_a_time_may_write(place):
    place.take("first")
    assert place.is_taken_by("first")
    place.take("second")
    assert not place.is_taken_by("first")


def test_finished_rows_are_those_of_the_record(place, tmp_path):
    for name, ids in (("part-a-0", ["x", "y"]), ("part-a-1", ["z"]), ("part-a-2.pending", ["w"])):
        parquet.write_table(pa.table({"id": ids}), tmp_path / "record" / f"{name}.parquet")
    found = place.finished()
    assert found.rows == {"part-a-0": 2, "part-a-1": 1}
    assert "z" in found.ids and "w" not in found.ids
    assert place.recorded_rows("part-a-0") == 2
