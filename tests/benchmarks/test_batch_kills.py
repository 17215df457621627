"""A few of the kills; `python -m benchmarks.batch_kills` does 200."""

import random

import pytest

from benchmarks import batch_kills
from benchmarks.batch_kills import Subject, kill_again_and_again


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(batch_kills, "IMAGES", 20)


def test_kills_lose_nothing(tmp_path):
    toll = kill_again_and_again(6, 1, tmp_path)
    assert toll.problems == ()
    assert toll.kills == 6


@pytest.mark.parametrize("form", batch_kills.FORMS)
def test_every_kind_of_loss_is_seen(tmp_path, form):
    subject = Subject(tmp_path / "photos", tmp_path / "out", form)
    subject.grow(20, random.Random(0))
    batch_kills.run(subject, False, None)

    def problems():
        return subject.problems(anew=False, complete=True)

    assert problems() == []
    shard = next((tmp_path / "out").glob("part-00001.*"))
    content = shard.read_bytes()
    shard.unlink()
    assert any("lost" in problem for problem in problems())
    shard.write_bytes(content)
    twice = shard.with_name(f"part-00009{shard.suffix}")
    twice.write_bytes(content)
    assert any("2 times" in problem for problem in problems())
    twice.unlink()
    assert problems() == [f"{twice.name}: changed"]
    shard.write_bytes(content[:-10])
    assert any("damaged" in problem for problem in problems())
    shard.write_bytes(content)
    sidecar = next((tmp_path / "photos").rglob("*.txt"))
    sidecar.write_text("half")
    assert any("half" in problem for problem in problems())
    sidecar.unlink()
    assert any("missing" in problem for problem in problems())
