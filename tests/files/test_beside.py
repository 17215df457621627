"""Files among other people's: whole, never in place of what somebody else put there, and tidied up after kills."""

import errno
import os
import time

import pytest

from blipvino.errors import OutputError
from blipvino.files import partials
from blipvino.files.beside import FileWriter, take_snapshot


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_never_replaces_one(tmp_path, monkeypatch, links):
    def no_link(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_link)
    assert FileWriter().create(tmp_path / "a.txt", b"one")
    assert not FileWriter().create(tmp_path / "a.txt", b"two")
    (tmp_path / "dangling.txt").symlink_to("nowhere")
    assert not FileWriter().create(tmp_path / "dangling.txt", b"two")
    assert (tmp_path / "a.txt").read_bytes() == b"one"
    assert names(tmp_path) == ["a.txt", "dangling.txt"]


def test_a_name_may_be_as_long_as_names_are(tmp_path):
    assert FileWriter().create(tmp_path / ("x" * 255), b"one")


def test_a_replacement_takes_over_all_but_the_content(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    path.chmod(0o604)
    os.utime(path, ns=(10**18, 10**18))
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    FileWriter().replace(take_snapshot(tmp_path / "link.jpg"), b"new", keep_mtime=True)
    assert (path.read_bytes(), path.stat().st_mode & 0o777, path.stat().st_mtime_ns) == (b"new", 0o604, 10**18)
    FileWriter().replace(take_snapshot(path), b"newer")
    assert abs(path.stat().st_mtime - time.time()) < 600
    assert names(tmp_path) == ["a.jpg", "link.jpg"]
    assert (tmp_path / "link.jpg").is_symlink()


def test_what_was_changed_meanwhile_stays(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    snapshot = take_snapshot(path)
    path.write_bytes(b"by somebody else")
    with pytest.raises(OutputError, match=r"a\.jpg: was changed by another program meanwhile, and is left as it is"):
        FileWriter().replace(snapshot, b"new")
    path.unlink()
    with pytest.raises(OutputError, match="was changed"):
        FileWriter().replace(snapshot, b"new")
    assert names(tmp_path) == []


def test_a_write_protected_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)  # root may write everything
    with pytest.raises(OutputError, match=r"cannot be written \(it is write-protected\)"):
        FileWriter().replace(take_snapshot(path), b"new")
    assert path.read_bytes() == b"old"


def test_what_a_killed_writer_left_goes_and_what_lives_stays(tmp_path, monkeypatch):
    dead, alien = tmp_path / ".blipvino-0123456789abcdef.partial", tmp_path / ".blipvino-notes"
    dead.touch()
    alien.touch()
    monkeypatch.setattr(partials, "_SETTLED_SECONDS", 0)
    with partials.new_partial(tmp_path) as (living, _):
        FileWriter().create(tmp_path / "a.txt", b"one")
        assert names(tmp_path) == sorted([alien.name, living.name, "a.txt"])
    assert names(tmp_path) == [alien.name, "a.txt"]
