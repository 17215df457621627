"""A few of the kills that `benchmarks.index_kills` does by the hundred, of a process that works with a cheap model."""

import sys
from pathlib import Path

import pytest
from retrieval_subjects import ColorEmbedder

from benchmarks import index_kills
from blipvino.retrieval import update_index

ROOT = Path(__file__).parents[2]
WORKER = f"""
import sys, time
from pathlib import Path
sys.path[:0] = {[str(ROOT / "src"), str(ROOT), str(ROOT / "tests")]!r}
from benchmarks.index_kills import work
from retrieval_subjects import ColorEmbedder
work(ColorEmbedder(), *map(Path, sys.argv[1:]))
"""


def test_nothing_is_lost_and_nothing_doubled_by_kills(tmp_path):
    happened = index_kills.kill_often([sys.executable, "-c", WORKER], tmp_path, kills=6, seed=1)
    assert happened["kills"] == 6
    assert happened["photos at the end"] > 0


@pytest.fixture
def library(tmp_path):
    """Photos in an index, and its state."""
    library = index_kills.Library(tmp_path / "photos", index_kills.random.Random(2))
    library.change()
    update_index(tmp_path / "index", [library.folder], ColorEmbedder())
    return library


def test_what_is_lost_would_be_noticed(library, tmp_path):
    index = tmp_path / "index"
    before = index_kills.state_of(index)
    assert set(before) == set(library.photos())
    assert index_kills.check_killed(index, before, library, {}) == before
    lost = library.photos()[0]
    (lost.parent / "hidden").mkdir()
    lost.rename(lost.parent / "hidden" / "x")
    update_index(index, [library.folder], ColorEmbedder())
    (lost.parent / "hidden" / "x").rename(lost)
    with pytest.raises(AssertionError, match="was in the index and is not any more"):
        index_kills.check_killed(index, before, library, {})


def test_a_changed_photo_and_a_wrong_vector_would_be_noticed(library, tmp_path):
    index = tmp_path / "index"
    before = index_kills.state_of(index)
    wrong = {digest: bytes(len(vector)) for digest, vector in before.values()}
    with pytest.raises(AssertionError, match="has another vector"):
        index_kills.check_killed(index, before, library, wrong)
    library.photos()[0].write_bytes(b"")
    with pytest.raises(AssertionError, match="a photo was changed"):
        index_kills.check_killed(index, before, library, {})
