"""A few of the kills; `python -m benchmarks.sidecar_kills` does 200."""

import numpy as np
import pytest

from benchmarks import sidecar_kills
from benchmarks.sidecar_kills import Album, kill_again_and_again


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(sidecar_kills, "PHOTOS", 8)
    monkeypatch.setattr(sidecar_kills, "SIDE", 24)


def test_kills_lose_nothing(tmp_path):
    toll = kill_again_and_again(4, 1, tmp_path)
    assert toll.problems == ()
    assert toll.kills == 4


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it finds in damaged files
def test_every_kind_of_loss_is_seen(tmp_path):
    album = Album.made(tmp_path / "album", np.random.default_rng(0))
    sidecar_kills.run(album, 0, False, None)
    assert album.problems(overwritten=False, complete=True) == []
    for path in sorted(album.folder.iterdir()):
        content = path.read_bytes()
        for damaged in (content[: len(content) // 2], b""):
            path.write_bytes(damaged)
            try:
                assert album.problems(overwritten=False, complete=True) != []
            except OSError:  # of Pillow: no picture at all
                assert path.suffix not in (".txt", ".xmp")
        path.write_bytes(content)
    (album.folder / ".blipvino-0.partial").touch()
    assert album.problems(overwritten=False, complete=False) == []
    assert album.problems(overwritten=False, complete=True) == ["left over: ['.blipvino-0.partial']"]
    (album.folder / "photo0.jpg.bak").touch()
    assert album.problems(overwritten=False, complete=False) != []
