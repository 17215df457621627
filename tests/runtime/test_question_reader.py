"""Questions of one batch without `Blip`, and turns at the engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from subjects import scene_image, scene_questions, with_empty_cache

from blipvino import AnswerList

SCENE = 2


def test_rankings_are_those_of_blip(tiny_vqa):
    blip, questions = tiny_vqa.exact, scene_questions(SCENE)[:4]
    images = blip.features([scene_image(SCENE), scene_image(SCENE + 1)])
    features, prompt = [images[place % 2] for place in range(4)], blip.texts.prompt(None)
    listed = AnswerList(["red", "yes", "two"], blip.texts)
    found = blip.components.questions.rank(features, blip.texts.questions(questions), prompt, listed, None)
    told = blip.rank(features, questions, listed, top_k=None)
    assert [row.answers for row in found] == [row.answers for row in told]
    assert [row.log_likelihoods for row in found] == [row.log_likelihoods for row in told]


@pytest.mark.parametrize(
    ("call", "inner"),
    [
        (lambda blip, *asked: blip.answer(*asked), "question_kv"),
        (lambda blip, *asked: blip.answer(*asked), "question_states"),
        (lambda blip, *asked: blip.rank(*asked, ["red", "yes"]), "branch"),
        (lambda blip, *asked: blip.extractor.question_kv(blip.features(asked[0])), "question_kv"),
    ],
)
def test_whoever_works_the_engine_holds_its_lock(tiny_vqa, monkeypatch, call, inner):
    blip = with_empty_cache(tiny_vqa)
    original, taken = getattr(blip.engine, inner), []

    def watched(*args):
        with ThreadPoolExecutor(1) as another:
            taken.append(another.submit(blip.engine.lock.acquire, blocking=False).result())
        return original(*args)

    monkeypatch.setattr(blip.engine, inner, watched)
    call(blip, scene_image(SCENE), "red?")
    assert taken == [False] * len(taken) != []
    assert blip.engine.lock.acquire(blocking=False)
    blip.engine.lock.release()
