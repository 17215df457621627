"""Files by URL, and what is said of those that cannot be had."""

import subprocess
import sys

import fsspec
import pytest
import s3fs.errors
from botocore.exceptions import ClientError

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.remote_files import (
    RemoteError,
    StoreError,
    file_system,
    folder_of,
    is_bucket,
    joined,
    open_url,
    protocol,
    read_url,
    remote_error,
)
from blipvino.errors import DataError, ImageError


def refusal(url):
    with pytest.raises(RemoteError) as refused:
        read_url(url)
    message = str(refused.value)
    assert message.startswith(f"{url}: ")
    assert len(message.splitlines()) == 1
    return message.removeprefix(f"{url}: ")


def test_a_file_of_a_bucket_is_read(bucket):
    for name in ("a b/é #1.jpg", "a::b.jpg", "a?b*[c].jpg", "a%20b.jpg"):
        url = bucket.put(name, b"pixels")
        assert read_url(url) == b"pixels"
    assert InputRow("a", url).read() == b"pixels"
    with open_url(url) as file:
        assert (file.read(2), file.seek(4), file.read()) == (b"pi", 4, b"ls")


def test_what_is_not_there_is_told_from_what_is_not_allowed(bucket, monkeypatch):
    assert refusal(f"{bucket.url}/none.jpg") == "there is no such file or folder; check the name"
    assert refusal("s3://no-such-bucket-here/a.jpg") == "there is no such bucket; check its name and the endpoint"
    with pytest.raises(ImageError, match="no such bucket"):
        InputRow("a", "s3://no-such-bucket-here/a.jpg").read()


def test_what_no_file_of_a_store_can_be_had_for_is_told_from_what_is_wrong_with_one(bucket, monkeypatch):
    url = bucket.put("a.jpg")
    with pytest.raises(StoreError, match="check the endpoint"):
        raise remote_error(url, refused_by_store("SlowDown"))
    with pytest.raises(StoreError, match=r"access is denied .*; check the credentials"):
        raise remote_error(url, refused_by_store("ExpiredToken"))
    assert type(remote_error(url, refused_by_store("AccessDenied"))) is RemoteError
    assert type(remote_error("http://gone.example/a.jpg", ConnectionError("nobody there"))) is RemoteError
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    forget()
    with pytest.raises(DataError, match="there are no credentials"):
        InputRow("a", url).read()
    forget()


def refused_by_store(code):
    """What s3fs makes of an answer of the store."""
    told = ClientError({"Error": {"Code": code, "Message": "not now"}}, "GetObject")
    return s3fs.errors.translate_boto_error(told)


def test_missing_credentials_say_what_to_set(bucket, monkeypatch):
    url = bucket.put("a.jpg")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    forget()
    message = refusal(url)
    forget()
    assert message.startswith("there are no credentials for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")


def test_an_endpoint_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget()
    message = refusal("s3://bucket/a.jpg")
    forget()
    assert message.startswith("cannot be reached")
    assert "http://127.0.0.1:9" in message


def test_a_protocol_that_nobody_knows_is_refused():
    assert "Protocol not known: nosuch" in refusal("nosuch://place/a.jpg")


@pytest.mark.parametrize(
    ("missing", "message"), [("fsspec", "pip install 'blipvino[batch]'"), ("s3fs", "pip install 'blipvino[s3]'")]
)
def test_a_package_that_is_missing_is_named(missing, message):
    script = (
        f"import sys; sys.modules['{missing}'] = None\n"
        "from blipvino.batch.remote_files import read_url, RemoteError\n"
        "try: read_url('s3://bucket/a.jpg')\n"
        "except RemoteError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.startswith("s3://bucket/a.jpg: ")
    assert message in told


def test_urls_have_parts():
    assert joined("s3://bucket", "a.jpg") == joined("s3://bucket/", "a.jpg") == "s3://bucket/a.jpg"
    assert joined("zip://::s3://bucket/a.zip", "b.jpg") == "zip://b.jpg::s3://bucket/a.zip"
    assert joined("simplecache::s3://bucket/a", "b.jpg") == "simplecache::s3://bucket/a/b.jpg"
    assert folder_of("s3://bucket/a/b.jsonl") == "s3://bucket/a"
    assert folder_of("zip://a/b.jsonl::s3://bucket/a.zip") == "zip://a::s3://bucket/a.zip"
    assert [protocol(url) for url in ("S3://bucket", "zip://a::s3://b", "simplecache::s3://b")] == [
        "s3",
        "zip",
        "simplecache",
    ]
    assert [is_bucket(url) for url in ("s3://bucket", "zip://a::s3://b", "gs://bucket")] == [True, False, False]


def test_a_thread_has_one_connection_to_a_place(bucket):
    assert file_system(f"{bucket.url}/a")[0] is file_system(f"{bucket.url}/b")[0]


def forget():
    """Have file systems made anew, with the settings that there are now."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
