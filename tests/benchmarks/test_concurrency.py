"""Texts from many threads and tasks, timed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks.concurrency import Answers
from benchmarks.serving.workload import QUESTIONS


@pytest.mark.parametrize(("texts", "images"), [(3, 8), (64, 2), (2 * len(QUESTIONS) + 5, 2)])
def test_as_many_questions_are_asked_as_are_counted(texts, images):
    blip = SimpleNamespace(config=SimpleNamespace(vision=SimpleNamespace(image_size=4)), features=lambda pixels: pixels)
    asked = Answers(blip, texts, 3, images).asked
    assert len(asked) == texts
    assert len({image.tobytes() for image, _ in asked}) == min(texts, images)
