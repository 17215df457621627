"""What is below a URL, whatever is behind it."""

import zipfile

import fsspec
import pytest

from blipvino.batch.remote_files import RemoteError
from blipvino.batch.sources.remote_listing import RemoteListing, is_url_pattern

NAMES = [
    "10.jpg",
    "2.jpg",
    "a/1.jpg",
    "a/b/2.png",
    "a/notes.txt",
    "a b/é #1.jpg",
    "ab/3.jpg",
    "ab/4.jpg",
    "c.d/5.jpg",
]
PASSED_OVER = [".hidden.jpg", ".trash/6.jpg", "a/.b/7.jpg", "a/@eaDir/8.jpg", "__MACOSX/9.jpg"]
PATTERNS = {
    "": NAMES,
    "/": NAMES,
    "/a": ["1.jpg", "b/2.png", "notes.txt"],
    "/*.jpg": ["10.jpg", "2.jpg"],
    "/?.jpg": ["2.jpg"],
    "/[0-9][0-9].jpg": ["10.jpg"],
    "/a*": ["a b/é #1.jpg", "a/1.jpg", "a/b/2.png", "a/notes.txt", "ab/3.jpg", "ab/4.jpg"],
    "/a/*": ["1.jpg", "b/2.png", "notes.txt"],
    "/**/*.png": ["a/b/2.png"],
    "/a*/[34].jpg": ["ab/3.jpg", "ab/4.jpg"],
    "/*.d": ["c.d/5.jpg"],
    "/none*": [],
}


@pytest.fixture(params=["s3", "file", "memory"])
def place(request, tmp_path):
    """The same tree in a bucket, in a folder and in memory, beside what is not in it."""
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket")
        for name in [*(f"photos/{name}" for name in [*NAMES, *PASSED_OVER]), "photos-2/x.jpg", "photos/a/"]:
            bucket.put(name)
        return f"{bucket.url}/photos"
    root = {"file": f"file://{tmp_path}", "memory": f"memory://{tmp_path.name}"}[request.param]
    for name in [*(f"photos/{name}" for name in [*NAMES, *PASSED_OVER]), "photos-2/x.jpg"]:
        system, path = fsspec.url_to_fs(f"{root}/{name}")
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, b"")
    return f"{root}/photos"


def test_every_file_system_lists_alike(place):
    for pattern, expected in PATTERNS.items():
        found = list(RemoteListing(place + pattern).names())
        assert sorted(found) == sorted(expected), pattern
        assert found == list(RemoteListing(place + pattern).names()), "the order is fixed"


def test_a_file_is_itself(place):
    listing = RemoteListing(f"{place}/a/1.jpg")
    assert (listing.root, list(listing.names())) == (f"{place}/a/1.jpg", [""])


def test_what_is_not_there_is_said(place):
    with pytest.raises(RemoteError, match="photos/none: there is no such file or folder; check the name"):
        list(RemoteListing(f"{place}/none").names())


def test_archives_are_listed_too(tmp_path):
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("a/1.jpg", "a/b/2.png", "3.jpg"):
            file.writestr(name, b"")
    for url, root, expected in (
        (f"zip://::file://{archive}", f"zip://::file://{archive}", ["3.jpg", "a/1.jpg", "a/b/2.png"]),
        (f"zip://a::file://{archive}", f"zip://a::file://{archive}", ["1.jpg", "b/2.png"]),
        (f"zip://*.jpg::file://{archive}", f"zip://::file://{archive}", ["3.jpg"]),
        (f"zip://a/*/*::file://{archive}", f"zip://a/::file://{archive}", ["b/2.png"]),
    ):
        listing = RemoteListing(url)
        assert (listing.root, list(listing.names())) == (root, expected)


def test_pages_of_a_bucket_join(bucket, monkeypatch):
    for number in range(7):
        bucket.put(f"{number}.jpg")
    import s3fs

    call = s3fs.S3FileSystem.call_s3
    pages = []

    def in_twos(self, method, **options):
        pages.append(options)
        return call(self, method, **{**options, "MaxKeys": 2})

    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", in_twos)
    assert list(RemoteListing(bucket.url).names()) == [f"{number}.jpg" for number in range(7)]
    assert len(pages) == 4


def test_queries_are_no_patterns():
    assert not is_url_pattern("https://host/photo.jpg?size=1")
    assert is_url_pattern("s3://bucket/photo?.jpg")
