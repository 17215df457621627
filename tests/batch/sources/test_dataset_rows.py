"""Hugging Face datasets as the input of a job."""

import json
import pickle

import pytest
from object_store import picture

from blipvino.batch.sources.dataset_rows import DatasetRows
from blipvino.batch.sources.list_columns import ListColumns
from blipvino.errors import DataError

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def settings(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def dataset(first, count, **columns):
    """Rows with a picture each; the second has none."""
    rows = [
        {
            "image": None if number == 1 else {"bytes": picture(number), "path": "same.png"},
            "question": f"what is {number}?",
            "uid": f"row {number}",
            "more": number,
        }
        for number in range(first, first + count)
    ]
    return datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())


def rows(text, **columns):
    """All rows, by way of pickles as they cross processes; their ids are those that are told without images."""
    found = []
    for partition in pickle.loads(pickle.dumps(list(DatasetRows(str(text), ListColumns(**columns)).partitions()))):
        of_partition = list(partition.rows())
        assert [row.id for row in of_partition] == list(partition.ids())
        found += of_partition
    return found


@pytest.fixture
def saved(tmp_path):
    dataset(0, 4).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def layout(tmp_path):
    """As on the hub: two files of Parquet."""
    for number in range(2):
        path = tmp_path / "layout" / "data" / f"validation-{number:05}-of-00002.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset(3 * number, 3).to_parquet(path)
    return tmp_path / "layout"


def test_a_saved_dataset_is_reached_row_by_row(saved):
    assert DatasetRows(f"hf:{saved}", ListColumns()).lists_quickly
    found = rows(f"hf:{saved}")
    assert [(row.id, row.image, row.question) for row in found] == [
        (str(number), None if number == 1 else picture(number), f"what is {number}?") for number in range(4)
    ]
    assert found[1].error == "1: has no image"
    assert [row.id for row in rows(f"hf:{saved}", id="uid")] == [f"row {number}" for number in range(4)]


def test_saved_splits_are_chosen(tmp_path):
    datasets.DatasetDict({"train": dataset(0, 2), "test": dataset(2, 3)}).save_to_disk(tmp_path)
    assert len(rows(f"hf:{tmp_path}")) == 2
    assert [row.image for row in rows(f"hf:{tmp_path}@test")] == [picture(number) for number in (2, 3, 4)]
    with pytest.raises(DataError, match="no split 'dev'; choose one of train, test"):
        rows(f"hf:{tmp_path}@dev")


def test_a_dataset_of_the_hub_is_streamed_file_by_file(layout):
    source = DatasetRows(f"hf:{layout}@validation", ListColumns())
    assert not source.lists_quickly
    assert [partition.key for partition in source.partitions()] == [f"{source.text}/0", f"{source.text}/1"]
    found = rows(source.text)
    assert [row.id for row in found] == ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2"]
    assert found[4].image == picture(4)
    assert [row.question for row in rows(source.text, question="uid")] == [f"row {number}" for number in range(6)]


def test_a_folder_of_images_with_metadata_is_a_dataset(tmp_path):
    photos = tmp_path / "photos"
    for number in range(12):
        (photos / "abc"[number % 3]).mkdir(parents=True, exist_ok=True)
        (photos / "abc"[number % 3] / f"{number}.png").write_bytes(picture(number))
    (photos / "metadata.jsonl").write_text(
        "".join(json.dumps({"file_name": f"{'abc'[n % 3]}/{n}.png", "question": f"{n}?"}) + "\n" for n in range(12))
    )
    found = rows(f"hf:{photos}")
    assert len({row.id for row in found}) == 12
    assert sorted(row.read() for row in found) == sorted(picture(number) for number in range(12))
    assert all(row.question for row in found)


@pytest.mark.parametrize("columns", [{"image": "img"}, {"question": "ask"}, {"id": "key"}])
def test_a_column_that_is_missing_is_named(saved, layout, columns):
    for place in (saved, layout):
        with pytest.raises(DataError, match=r"has no column '.*', only image, question, uid, more; check --.*-column"):
            next(DatasetRows(f"hf:{place}", ListColumns(**columns)).partitions())


def test_what_is_no_image_is_an_error_of_its_row(saved):
    assert rows(f"hf:{saved}", image="more")[0].error == "0: has a int, expected an image"


def test_an_id_that_is_missing_is_named(tmp_path):
    datasets.Dataset.from_list([{"image": b"", "uid": "a"}, {"image": b"", "uid": None}]).save_to_disk(tmp_path)
    with pytest.raises(DataError, match="row 1 has no 'uid'; every row needs one"):
        rows(f"hf:{tmp_path}", id="uid")


def test_what_is_no_dataset_is_refused(tmp_path):
    datasets.Dataset.from_list([{"text": "a"}]).save_to_disk(tmp_path / "texts")
    with pytest.raises(DataError, match="no column with images; its columns are text"):
        rows(f"hf:{tmp_path / 'texts'}")
    (tmp_path / "texts" / "state.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        rows(f"hf:{tmp_path / 'texts'}")
