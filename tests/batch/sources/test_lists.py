"""Lists of images: JSON lines, CSV, Parquet."""

import base64
import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from blipvino.batch.sources.given_source import given_source
from blipvino.batch.sources.list_columns import ListColumns
from blipvino.errors import DataError, InputError

RECORDS = [
    {"id": "one", "path": "a.png", "question": "what?"},
    {"id": "two", "path": "/b.png", "question": None},
    {"id": None, "path": "s3://bucket/c.png", "question": "why?"},
    {"id": "four", "path": None, "question": None},
]


def write(path, records):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=3)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(records)
    return path


def rows_of(path, **columns):
    source = given_source(str(path), ListColumns(**columns))
    rows = [row for partition in source.partitions() for row in partition.rows()]
    assert [name for partition in source.partitions() for name in partition.ids()] == [row.id for row in rows]
    return rows


@pytest.fixture(params=[".jsonl", ".csv", ".tsv", ".parquet"])
def suffix(request):
    return request.param


def test_records_become_rows(tmp_path, suffix):
    rows = rows_of(write(tmp_path / f"list{suffix}", RECORDS))
    assert [row.id for row in rows] == ["one", "two", "s3://bucket/c.png#why?", "four"]
    assert [row.image for row in rows] == [str(tmp_path / "a.png"), "/b.png", "s3://bucket/c.png", None]
    assert [row.question for row in rows] == ["what?", None, "why?", None]
    assert rows[3].error == f"list{suffix}#4: has no image"


def test_questions_about_one_image_are_rows_of_their_own(tmp_path, suffix):
    records = [{"path": "a.png", "question": question} for question in ("what?", "why?", None)]
    rows = rows_of(write(tmp_path / f"list{suffix}", records))
    assert [(row.id, row.question) for row in rows] == [
        ("a.png#what?", "what?"),
        ("a.png#why?", "why?"),
        ("a.png", None),
    ]


def test_columns_may_have_other_names(tmp_path, suffix):
    records = [{"key": 7, "file": "a.png", "ask": "what?"}, {"key": 8, "file": "b.png", "ask": " "}]
    path = write(tmp_path / f"list{suffix}", records)
    rows = rows_of(path, id="key", image="file", question="ask")
    assert [(row.id, row.image, row.question) for row in rows] == [
        ("7", str(tmp_path / "a.png"), "what?"),
        ("8", str(tmp_path / "b.png"), None),
    ]
    names = {given_source(str(path), ListColumns(image=name)).name for name in (None, "file", "key")}
    assert len(names) == 3


def test_bytes_are_images(tmp_path, suffix):
    content = bytes(range(256)) * 1000
    given = content if suffix == ".parquet" else base64.b64encode(content).decode()
    rows = rows_of(
        write(tmp_path / f"list{suffix}", [{"path": "a.png", "bytes": given}, {"path": "b.png", "bytes": None}])
    )
    assert [row.image for row in rows] == [content, str(tmp_path / "b.png")]
    assert [row.id for row in rows] == ["a.png", "b.png"]
    (row,) = rows_of(write(tmp_path / f"bare{suffix}", [{"bytes": given}]))
    assert (row.id, row.image) == (f"bare{suffix}#1", content)


def test_images_as_hugging_face_writes_them(tmp_path):
    records = [
        {"image": {"bytes": b"1", "path": "1.png"}},
        {"image": {"bytes": None, "path": "2.png"}},
        {"image": None},
    ]
    rows = rows_of(write(tmp_path / "list.parquet", records), image="image")
    assert [row.image for row in rows] == [b"1", str(tmp_path / "2.png"), None]
    assert [row.id for row in rows] == ["1.png", "2.png", "list.parquet#3"]


def test_bad_lines_are_rows_with_an_error(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_bytes(
        b'{"path": "a.png"}\n\nnonsense\n[1]\n{"bytes": "%%"}\n{"path": "od\xffd.png"}\n{"path": 7}\n{"path"'
    )
    rows = rows_of(path)
    assert [row.id for row in rows] == [
        *("a.png", "list.jsonl#3", "list.jsonl#4", "list.jsonl#5", "od\\udcffd.png", "list.jsonl#7", "list.jsonl#8")
    ]
    assert [row.error is None for row in rows] == [True, False, False, False, True, False, False]
    assert "no Base64" in rows[3].error


def test_columns_that_are_not_there_are_named(tmp_path, suffix):
    path = write(tmp_path / f"list{suffix}", [{"key": 7, "file": "a.png"}])
    with pytest.raises(DataError, match="no column with images; its columns are key, file"):
        rows_of(path)
    with pytest.raises(DataError, match="no column 'none', only key, file; check --id-column"):
        rows_of(path, image="file", id="none")


def test_what_is_no_list_is_refused(tmp_path, suffix):
    path = tmp_path / f"list{suffix}"
    with pytest.raises(DataError, match="no such list"):
        given_source(str(path))
    path.write_bytes(b"")
    if suffix == ".jsonl":
        assert rows_of(path) == []
    else:
        with pytest.raises(DataError):
            rows_of(path)
    with pytest.raises(InputError, match="is no list"):
        given_source(str(tmp_path), ListColumns(id="key"))
    with pytest.raises(InputError, match="blank"):
        ListColumns(id="")
