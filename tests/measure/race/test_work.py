"""The work that contenders are timed on: its tasks, its rounds, and what a captioner is asked."""

import pytest
from race_subjects import Fake

from blipvino.measure.race.work import Task, Work, perform, plan


@pytest.mark.parametrize(
    ("task", "tokens"),
    [
        (Task("caption", (0, 1), (), 2), [[0, 0]] * 2),
        (Task("answer", (0, 1), ("a", "b"), 1), [[1]] * 2),
        (Task("further", (0,), ("a",), 3), [[2] * 3]),
        (Task("ask", (0,), ("a", "b", "c"), 1), [[2]] * 3),
        (Task("parts", (0,), ("a",), 1), []),
    ],
)
def test_tasks(tmp_path, task, tokens):
    outcome = perform(Fake("a", tmp_path / "calls"), task)
    assert outcome.tokens == tokens and outcome.seconds >= 0
    assert (outcome.parts == {"vision": 1.0, "step": 0.5}) == (task.kind == "parts")


def test_rounds_never_share_pictures():
    work = Work("caption", "caption", 16, 20, images=16)
    seen = [number for round_number in range(8) for number in work.task(round_number).images]
    assert len(seen) == len(set(seen))


def test_a_captioning_checkpoint_is_asked_nothing():
    works = plan(False, answer_tokens=3, caption_tokens=20, quick=False)
    assert all(work.questions == 0 and work.kind in ("caption", "parts") for work in works)
