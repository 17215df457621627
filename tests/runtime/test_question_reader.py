"""Questions of one batch without `Blip`, and turns at the engine."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from subjects import scene_image, scene_questions, with_empty_cache

from blipvino import AnswerList
from blipvino.runtime.decoding.steps import Branching
from blipvino.runtime.scheduling.turns import Turns, Work

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


def test_others_work_while_answers_are_ranked(tiny_vqa, monkeypatch):
    """A ranking that is in the middle of its answers holds nothing that a caption or a question needs."""
    blip = with_empty_cache(tiny_vqa)
    middle, on, original = threading.Event(), threading.Event(), Branching.log_probs

    def halted(self, *given):
        middle.set()
        assert on.wait(60)
        return original(self, *given)

    monkeypatch.setattr(Branching, "log_probs", halted)
    with ThreadPoolExecutor(2) as pool:
        ranking = pool.submit(blip.rank, scene_image(SCENE), "red?", ["red", "yes"])
        assert middle.wait(60)
        others = pool.submit(lambda: (blip.caption(scene_image(0)), blip.answer(scene_image(1), "is it red?")))
        try:
            assert others.result(60) == (
                tiny_vqa.exact.caption(scene_image(0)),
                tiny_vqa.exact.answer(scene_image(1), "is it red?"),
            )
        finally:
            on.set()
        assert ranking.result(60).answers


def test_every_step_of_a_ranking_is_a_turn(tiny_vqa, monkeypatch):
    blip = with_empty_cache(tiny_vqa)
    turns, original, working = blip.components.turns, Turns.turn, []

    def entered(self, work):
        working.append((self is turns, work))
        return original(self, work)

    monkeypatch.setattr(Turns, "turn", entered)
    answers = [f"{first} {second}" for first in ("red", "blue", "green") for second in ("circle", "star")]
    blip.rank([scene_image(SCENE), scene_image(SCENE + 1)], "what is it?", answers, top_k=None)
    # Two images, keys and values of the first, a question about each, the sources, and for each question the prompt and
    # two steps of one token.
    assert working == [(True, Work.RANKINGS)] * (2 + 1 + 2 + 1 + 2 * 3)
