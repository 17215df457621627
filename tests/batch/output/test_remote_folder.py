"""Files of a job in a bucket: whole or not there, and of one writer."""

import errno
import io
import json
import os
import subprocess
import sys
import threading

import pytest

from blipvino.batch.output import remote_lock
from blipvino.batch.output.job_manifest import SUMMARY
from blipvino.batch.output.remote_folder import RemoteFolder
from blipvino.errors import OutputError


@pytest.fixture(params=["bucket", "folder"])
def place(request, tmp_path):
    """A folder of a bucket, and one behind a URL whose files can be renamed."""
    if request.param == "folder":
        return RemoteFolder(f"file://{tmp_path}/of/a/job")
    return RemoteFolder(f"{request.getfixturevalue('bucket').url}/of/a/job")


def put(place, name, content):
    with place.write(name) as file:
        file.write(content)


def get(place, name):
    with place.read(name) as file:
        return file.read()


def test_files_are_written_and_read(place):
    assert place.sizes() == {}
    with place.sole_writer():
        put(place, "part-00000.jsonl", b"one\n")
        put(place, SUMMARY, b"{}")
        put(place, SUMMARY, b"{ }")
        assert place.sizes() == {"part-00000.jsonl": 4, SUMMARY: 3}
        put(place, "part-00001.jsonl", b"two\n")
        place.remove("part-00001.jsonl")
    assert place.sizes() == {"part-00000.jsonl": 4, SUMMARY: 3}
    assert (get(place, "part-00000.jsonl"), get(place, SUMMARY)) == (b"one\n", b"{ }")


def test_nothing_is_left_of_what_fails(place):
    with place.sole_writer():
        with pytest.raises(ValueError, match="stop"), place.write("part-00000.jsonl") as file:
            file.write(b"half")
            raise ValueError("stop")
        assert place.sizes() == {}


def test_a_finished_file_is_never_written_again(place):
    with place.sole_writer():
        put(place, "part-00000.jsonl", b"one\n")
        with pytest.raises(OutputError, match=r"part-00000.jsonl: is there already: another process writes"):
            put(place, "part-00000.jsonl", b"two\n")
    assert get(place, "part-00000.jsonl") == b"one\n"


def test_of_two_writers_one_is_refused(place, monkeypatch):
    monkeypatch.setattr(remote_lock, "BEAT_SECONDS", 0.05)
    second = RemoteFolder(place.url)
    refused = pytest.raises(OutputError, match=r"process \d+ on .* is writing it; wait until")
    with place.sole_writer(), refused, second.sole_writer():
        raise AssertionError("not reached")
    with RemoteFolder(place.url).sole_writer():
        pass


def test_only_its_writer_changes_a_folder(place):
    with pytest.raises(OutputError, match="sole writer"):
        put(place, "part-00000.jsonl", b"")
    assert place.sizes() == {}


def test_what_a_killed_process_held_is_taken_at_once(place):
    script = (
        "import os, signal, sys\n"
        "from blipvino.batch.output.remote_folder import RemoteFolder\n"
        "with RemoteFolder(sys.argv[1]).sole_writer():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, place.url], check=False).returncode < 0
    with place.sole_writer():
        put(place, "part-00000.jsonl", b"")


def test_what_a_lost_machine_held_is_taken_when_it_is_silent(place, monkeypatch):
    lost = {"token": "its", "process": os.getpid(), "host": "lost", "system": "another", "beat": 3}
    with place.sole_writer():
        put(place, "seen", b"")
        write_lock(place, lost)
        with pytest.raises(OutputError, match=r"process .* on lost has taken over, and this one has stopped"):
            put(place, "part-00000.jsonl", b"late")
    assert place.sizes() == {"seen": 0}
    monkeypatch.setattr(remote_lock, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(remote_lock, "LEASE_SECONDS", 0.2)
    with RemoteFolder(place.url).sole_writer():
        pass


def test_a_lock_that_is_renewed_is_waited_for_no_longer(place, monkeypatch):
    monkeypatch.setattr(remote_lock, "BEAT_SECONDS", 0.05)
    with place.sole_writer():
        pass
    stopped = threading.Event()

    def renew():
        beat = 0
        while not stopped.wait(0.02):
            beat += 1
            write_lock(place, {"token": "its", "process": 1, "host": "far", "system": "another", "beat": beat})

    renewing = threading.Thread(target=renew)
    write_lock(place, {"token": "its", "process": 1, "host": "far", "system": "another", "beat": 0})
    renewing.start()
    try:
        with pytest.raises(OutputError, match="process 1 on far is writing it"), place.sole_writer():
            raise AssertionError("not reached")
    finally:
        stopped.set()
        renewing.join()


def test_what_cannot_be_written_to_is_said(bucket):
    for url, message in (
        ("s3://no-such-bucket-here/job", "there is no such bucket"),
        ("nosuch://place/job", "Protocol not known"),
    ):
        with pytest.raises(OutputError, match=message), RemoteFolder(url).sole_writer():
            raise AssertionError("not reached")
        with pytest.raises(OutputError, match=message):
            RemoteFolder(url).sizes()
    with pytest.raises(OutputError, match="no such file"), RemoteFolder(bucket.url).read("none"):
        raise AssertionError("not reached")


def write_lock(place, holder):
    system, root = place._place()
    system.pipe_file(f"{root}/_writer.json", json.dumps(holder).encode())


def test_without_room_for_temporary_files_nothing_is_sent(place, monkeypatch):
    class Full(io.BufferedWriter):
        def flush(self):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with place.sole_writer():
        with monkeypatch.context() as patched:
            patched.setattr(io, "BufferedWriter", Full)
            with pytest.raises(OutputError, match=r"part-00000\.jsonl: cannot be made here .*No space left.*TMPDIR"):
                put(place, "part-00000.jsonl", b"one\n")
        assert place.sizes() == {}
