"""What is left of a writer that is stopped."""

from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from blipvino.files.staging import Stage


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_signal_in_the_moment_of_locking_leaves_nothing(tmp_path, monkeypatch, moment):
    """The lock's file is there, and the call that made it has not come back."""
    acquire = FileLock.acquire

    def acquire_and_be_stopped(self, *args, **kwargs):
        if moment == "after":
            acquire(self, *args, **kwargs)
        else:
            Path(self.lock_file).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(FileLock, "acquire", acquire_and_be_stopped)
    with pytest.raises(KeyboardInterrupt), Stage.beside(tmp_path / "bundle").claimed():
        raise AssertionError("the block began")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_holds_its_lock_and_leaves_none(tmp_path):
    stage = Stage.beside(tmp_path / "bundle")
    with stage.claimed():
        assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
        stage.partial.mkdir()
    assert list(tmp_path.iterdir()) == []


def test_a_place_without_files_is_refused_at_once(tmp_path, monkeypatch):
    """Where no file can be made, as below /proc, filelock would try again for ever."""
    asked = []

    def never(self, *args, blocking=True, **kwargs):
        asked.append(blocking)
        raise Timeout(self.lock_file)

    monkeypatch.setattr(FileLock, "acquire", never)
    with pytest.raises(PermissionError), Stage.beside(tmp_path / "bundle").claimed():
        raise AssertionError("the block began")
    assert asked == [False]
