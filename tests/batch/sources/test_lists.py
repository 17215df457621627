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


@pytest.mark.parametrize("content", ['[\n{"path": "a.png"}\n]\n', '"a.png"\n"b.png"\n', "path\na.png\n"])
def test_a_file_without_one_json_object_is_no_list(tmp_path, content):
    path = tmp_path / "list.jsonl"
    path.write_text(content.replace('{"path": "a.png"}', '{"path":\n"a.png"}'))
    with pytest.raises(DataError, match=r"list\.jsonl: none of its first lines is a JSON object \(.+UTF-8"):
        rows_of(path)


def test_a_list_in_another_encoding_is_refused_as_a_whole(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_text(json.dumps({"path": "a.png"}) + "\n", encoding="utf-16")
    with pytest.raises(DataError, match="in UTF-8"):
        rows_of(path)


def test_lines_may_end_as_windows_ends_them(tmp_path):
    table, lines = tmp_path / "list.csv", tmp_path / "list.jsonl"
    table.write_bytes(b'\xef\xbb\xbfpath,question\r\na.png,"what\r\nis it?"\r\n\r\nb.png,\r\n')
    lines.write_bytes(b'\xef\xbb\xbf{"path": "a.png", "question": "what\\r\\nis it?"}\r\n\r\n{"path": "b.png"}\r\n')
    told = [(row.image, row.question) for row in rows_of(table)]
    assert told == [(row.image, row.question) for row in rows_of(lines)]
    assert told == [(str(tmp_path / "a.png"), "what\r\nis it?"), (str(tmp_path / "b.png"), None)]


@pytest.mark.parametrize("output", ["out", "./x/../out/", "link"])
def test_a_pattern_does_not_find_what_the_job_itself_writes(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    for folder in ("lists", "out/1-of-2", "outside", "x"):
        (tmp_path / folder).mkdir(parents=True)
        write(tmp_path / folder / "part-00000.jsonl", [{"path": f"{folder}.png"}])
    (tmp_path / "link").symlink_to("out")
    given = [row.id for each in given_source("**/*.jsonl", output=output).partitions() for row in each.rows()]
    assert given == ["lists.png", "outside.png", "x.png"]
    with pytest.raises(DataError, match="nothing of this name but in --output"):
        list(given_source("out/*/*.jsonl", output=output).partitions())


def test_nor_in_a_bucket(bucket):
    for name in ("lists/a.jsonl", "lists/out/part-00000.jsonl", "lists/outside/b.jsonl"):
        bucket.put(name, json.dumps({"path": f"{name}.png"}).encode() + b"\n")
    source = given_source(f"{bucket.url}/lists/**/*.jsonl", output=f"{bucket.url}/lists/out/")
    rows = [row.id for each in source.partitions() for row in each.rows()]
    assert rows == ["lists/a.jsonl.png", "lists/outside/b.jsonl.png"]
