"""Folders that are put in their place, whoever else writes the same one."""

import pytest

from blipvino.files.placing import is_taken, place
from blipvino.files.staging import Stage


@pytest.fixture
def stage(tmp_path):
    stage = Stage.beside(tmp_path / "made")
    stage.partial.mkdir()
    (stage.partial / "file").write_text("new")
    return stage


def refuse():
    raise AssertionError("there was nothing to replace")


def test_a_free_place_is_taken_without_a_question(stage):
    place(stage, refuse)
    assert (stage.target / "file").read_text() == "new" and not stage.replaced.exists()


def test_an_empty_folder_is_free(stage):
    stage.target.mkdir()
    assert not is_taken(stage.target)
    place(stage, refuse)
    assert (stage.target / "file").read_text() == "new"


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("file"), lambda path: (path / "inner").mkdir(parents=True)]
)
def test_what_is_there_is_moved_aside_if_it_may_be(stage, make):
    make(stage.target)
    assert is_taken(stage.target)
    asked = []
    place(stage, lambda: asked.append(True))
    assert asked and stage.replaced.exists()
    assert (stage.target / "file").read_text() == "new"


def test_what_must_stay_stays(stage):
    stage.target.write_text("old")
    with pytest.raises(AssertionError, match="nothing to replace"):
        place(stage, refuse)
    assert stage.target.read_text() == "old" and (stage.partial / "file").exists()


def test_a_faster_writer_is_asked_about_again(stage):
    """Another process puts its own there after ours was moved aside."""
    stage.target.write_text("old")
    asked = []

    def check():
        asked.append(stage.target.read_text() if stage.target.is_file() else "theirs")
        if len(asked) == 1:
            stage.replaced.mkdir()  # what it moved aside under our name, as if we had been interrupted

    place(stage, check)
    assert asked == ["old"] and stage.replaced.read_text() == "old"
    assert (stage.target / "file").read_text() == "new"
