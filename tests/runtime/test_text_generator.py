"""The texts of one batch without `Blip`, and turns at the engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from subjects import scene_image, scene_questions, with_empty_cache

from blipvino import AnswerList, GenerationOptions
from blipvino.runtime.decoding.generation import row_generators

SCENE = 2
OPTIONS = GenerationOptions(max_new_tokens=8)


@pytest.fixture
def batch(tiny_vqa):
    """A model, features of the image that each of four questions is about, and the questions' tokens."""
    blip, questions = tiny_vqa.exact, scene_questions(SCENE)[:4]
    images = blip.features([scene_image(SCENE), scene_image(SCENE + 1)])
    return blip, [images[place % 2] for place in range(4)], questions


def test_a_generator_says_what_blip_says(batch):
    blip, features, questions = batch
    generator, tokens, prompt = blip.components.generator, blip.texts.questions(questions), blip.texts.prompt(None)
    captions = generator.caption(features[:2], prompt, row_generators(2, None), OPTIONS)
    assert [list(row.token_ids) for row in captions] == blip.caption_ids(features[:2], max_new_tokens=8)
    answers = generator.answer(features, tokens, prompt, row_generators(4, None), OPTIONS)
    assert [list(row.token_ids) for row in answers] == blip.answer_ids(features, questions, max_new_tokens=8)
    listed = AnswerList(["red", "yes", "two"], blip.texts)
    assert generator.rank(features, tokens, prompt, listed, None) == blip.rank(features, questions, listed, top_k=None)


@pytest.mark.parametrize(
    ("call", "inner"),
    [
        (lambda blip, *asked: blip.caption(asked[0]), "decode"),
        (lambda blip, *asked: blip.caption(asked[0]), "prepare"),
        (lambda blip, *asked: list(blip.caption_stream([asked[0]])), "decode"),
        (lambda blip, *asked: blip.answer(*asked), "question_kv"),
        (lambda blip, *asked: blip.answer(*asked), "question_states"),
        (lambda blip, *asked: blip.answer(*asked), "decode"),
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
