"""Ranked answers beside the loss of transformers' decoder, and what a ranking must not depend on."""

import importlib

import numpy as np
import pytest
from subjects import scene_image, scene_questions

from blipvino import InputError
from blipvino.runtime.decoding.ranking import ANSWERS_PER_STEP, AnswerList

ANSWERS = [
    "red",
    "circle",
    "red circle",
    "red square",
    "small red circle",
    "small red square",
    "small striped red circle",
    "2",
    "yes",
    "no",
]


def oracle_log_likelihoods(subject, image, question, answers):
    """What transformers' text decoder says: minus its summed loss, each answer by itself."""
    torch = importlib.import_module("torch")
    model, tokenizer = subject.oracle, subject.tokenizer
    asked = tokenizer(question, return_tensors="pt")
    found = []
    with torch.no_grad():
        embeds = model.vision_model(subject.pixel_values([image])).last_hidden_state
        states = model.text_encoder(
            input_ids=asked.input_ids,
            attention_mask=asked.attention_mask,
            encoder_hidden_states=embeds,
            encoder_attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
        ).last_hidden_state
        for answer in answers:
            ids = tokenizer(answer, return_tensors="pt").input_ids
            ids[:, 0] = model.config.text_config.bos_token_id
            output = model.text_decoder(
                input_ids=ids,
                encoder_hidden_states=states,
                encoder_attention_mask=asked.attention_mask,
                labels=ids,
                reduction="none",
            )
            found.append(-float(output.loss))
    return np.array(found)


@pytest.mark.parametrize("scene", [2, 3])
def test_log_likelihoods_are_the_oracles(answerer, scene):
    image, question = scene_image(scene), scene_questions(scene)[0]
    ranking = answerer.exact.rank(image, question, ANSWERS, top_k=None)
    expected = dict(zip(ANSWERS, oracle_log_likelihoods(answerer, image, question, ANSWERS), strict=True))
    assert set(ranking.answers) == set(ANSWERS)
    assert ranking.log_likelihoods == pytest.approx([expected[answer] for answer in ranking.answers], rel=2e-4)
    assert list(ranking.log_likelihoods) == sorted(ranking.log_likelihoods, reverse=True)
    assert ranking.answer == max(expected, key=expected.get)


def test_top_k_ranks_the_answers_that_begin_likeliest(tiny_vqa):
    blip, image, question = tiny_vqa.exact, scene_image(2), scene_questions(2)[0]
    firsts = sorted({answer.split()[0] for answer in ANSWERS})
    # With a single token the likelihoods still hold the closing token, so the firsts are asked one step at a time.
    tokens = blip.texts.questions([question])
    states = blip.engine.question_states(
        tokens.input_ids, tokens.attention_mask, blip.extractor.question_kv(blip.features(image))
    )
    (decoder,) = blip.engine.branch(states, tokens.attention_mask)
    decoder.step(np.array([blip.texts.prompt(None)]), np.zeros(1, np.int64))
    ids = np.array([blip.texts.answer(first)[0] for first in firsts])
    first_log_probs = dict(zip(firsts, decoder.log_probs(np.zeros_like(ids), ids).tolist(), strict=True))
    likeliest = sorted(ANSWERS, key=lambda answer: -first_log_probs[answer.split()[0]])
    whole = blip.rank(image, question, ANSWERS, top_k=None)
    for top_k in (1, 3, 6):
        kept = blip.rank(image, question, ANSWERS, top_k=top_k)
        assert set(kept.answers) == set(likeliest[:top_k])
        assert list(kept.answers) == [answer for answer in whole.answers if answer in kept.answers]


def test_a_ranking_does_not_depend_on_its_batch_or_list(tiny_vqa):
    blip, image, questions = tiny_vqa.exact, scene_image(2), scene_questions(2)[:4]
    together = blip.rank(image, questions, ANSWERS, top_k=None, batch_size=3)
    prepared = AnswerList(ANSWERS[::-1], blip.texts)
    for question, ranking in zip(questions, together, strict=True):
        alone = blip.rank(image, question, prepared, top_k=None)
        assert alone.answers == ranking.answers
        assert alone.log_likelihoods == pytest.approx(ranking.log_likelihoods, abs=1e-5)


def test_long_lists_are_scored_in_parts(tiny_vqa):
    blip, image, question = tiny_vqa.exact, scene_image(3), scene_questions(3)[0]
    words = ["red", "blue", "green", "circle", "square", "star", "ring"]
    answers = [f"{a} {b} {c}" for a in words for b in words for c in words]
    assert len(answers) > ANSWERS_PER_STEP
    ranking = blip.rank(image, question, answers, top_k=None)
    some = [*ranking.answers[:3], *ranking.answers[-3:]]
    alone = blip.rank(image, question, some, top_k=None)
    assert list(alone.answers) == some
    assert alone.log_likelihoods == pytest.approx(
        [*ranking.log_likelihoods[:3], *ranking.log_likelihoods[-3:]], abs=1e-4
    )


def test_equal_answers_keep_the_lists_order(tiny_vqa):
    ranking = tiny_vqa.exact.rank(scene_image(2), "what?", ["red", "Red", "RED"], top_k=None)
    assert ranking.answers == ("red", "Red", "RED")


def test_generating_goes_on_after_ranking(tiny_vqa):
    blip, image, questions = tiny_vqa.exact, scene_image(2), scene_questions(2)[:3]
    before = blip.answer(image, questions)
    blip.rank(image, questions, ANSWERS)
    assert blip.answer(image, questions) == before


def test_the_demo_ranks_what_it_says_first(demo):
    image, questions = scene_image(2), scene_questions(2)
    said = demo.exact.answer(image, questions)
    rankings = demo.exact.rank(image, questions, sorted({*said, *ANSWERS}), top_k=None)
    assert sum(ranking.answer == answer for ranking, answer in zip(rankings, said, strict=True)) >= len(said) - 1


@pytest.mark.parametrize(
    ("answers", "options", "says"),
    [
        ([], {}, "one or more"),
        ("red", {}, "list"),
        (["red", " "], {}, "empty"),
        (["red " * 100], {}, "tokens"),
        (["red"], {"top_k": 0}, "top_k"),
        (["red"], {"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_lists_are_refused(tiny_vqa, answers, options, says):
    with pytest.raises(InputError, match=says):
        tiny_vqa.exact.rank(scene_image(2), "what?", answers, **options)


def test_a_captioner_ranks_nothing(tiny_captioner):
    with pytest.raises(InputError, match="captions only"):
        tiny_captioner.blip.rank(scene_image(2), "what?", ["red"])
