"""What would end a job is found before there is a model."""

import json
import sys

import pytest
from batch_subjects import StubWorker, job, write_photos

from blipvino.batch.job import run_job
from blipvino.batch.job_checks import check_job
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.output.remote_folder import RemoteFolder
from blipvino.batch.remote_files import StoreError
from blipvino.batch.sources.given_source import given_source
from blipvino.errors import DataError, InputError, OutputError


def check(given, place, form="parquet", *, anew=False):
    check_job(given_source(str(given)), place, form, anew=anew)


@pytest.fixture
def place(tmp_path):
    return LocalFolder(tmp_path / "out")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    write_photos(folder, ["a.png", "b.png"])
    return folder


def test_a_job_that_can_be_done_passes_and_nothing_is_written(photos, place):
    check(photos, place)
    assert not place.folder.exists()
    run_job(job(photos, place.folder), open_worker=StubWorker)
    before = sorted(path.name for path in place.folder.iterdir())
    check(photos, place)
    check(photos, place, anew=True)
    assert sorted(path.name for path in place.folder.iterdir()) == before


def test_a_place_that_takes_no_files_is_refused(photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file is no folder; choose another --output"):
        check(photos, LocalFolder(tmp_path / "file" / "out"))
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(OutputError, match=f"nothing can be written in {tmp_path}; choose another --output"):
        check(photos, LocalFolder(tmp_path / "new" / "out"))


def test_a_source_without_rows_is_refused(tmp_path, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images in it"):
        check(tmp_path / "empty", place)


def test_a_store_that_gives_nothing_is_refused_and_an_image_that_is_missing_is_not(tmp_path, place, monkeypatch):
    listed = tmp_path / "list.jsonl"
    listed.write_text(json.dumps({"path": "s3://bucket/a.png"}) + "\n")

    def read_nothing(url):
        raise StoreError(f"{url}: there are no credentials for it")

    monkeypatch.setattr("blipvino.batch.batch_rows.read_url", read_nothing)
    with pytest.raises(DataError, match=r"a\.png: there are no credentials"):
        check(listed, place)
    listed.write_text(json.dumps({"path": "none.png"}) + "\n")
    check(listed, place)


def test_a_folder_of_other_things_is_refused_also_where_a_job_would_begin_anew(photos):
    for anew in (False, True):
        with pytest.raises(OutputError, match="is not empty"):
            check(photos, LocalFolder(photos), anew=anew)


def test_a_bucket_that_is_not_there_is_refused(photos, bucket):
    check(photos, RemoteFolder(f"{bucket.url}/out"))
    with pytest.raises(OutputError, match="there is no such bucket"):
        check(photos, RemoteFolder("s3://no-such-bucket-here/out"))


def test_a_library_that_is_missing_is_named(photos, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'blipvino\[batch\]'"):
        check(photos, place)
    with pytest.raises(InputError, match=r"pip install 'blipvino\[batch\]'"):
        job(photos, place.folder)
    check(photos, place, "jsonl")
