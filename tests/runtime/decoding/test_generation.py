"""Generating: batches whose rows close at different steps, token ids, and details of texts."""

from dataclasses import replace

import pytest
from subjects import scene_image

from blipvino import Blip, Generated

QUESTIONS = (
    "red?",
    "how many objects are there?",
    "what color is the small striped object to the left of the large circle?",
    "is it large?",
    "what shape is the object?",
)


# Batches whose rows close at different steps


LONG = {"max_new_tokens": 24}
GENERATION = {
    "greedy": {},
    "beams": {"num_beams": 3},
    "many beams": {"num_beams": 9, "min_new_tokens": 2},
    "short beams": {"num_beams": 4, "length_penalty": -1.0},
    "sampling": {"do_sample": True, "seed": 2, "repetition_penalty": 1.3},
}
each_generation = pytest.mark.parametrize("options", GENERATION.values(), ids=GENERATION.keys())
ROWS = 9


def closing_at_different_steps(blip, generate):
    """The model with that token as the closing one which comes at the most different places of its texts."""
    texts = generate(blip, {})
    places = {token: {text.index(token) for text in texts if token in text[1:]} for text in texts for token in text[1:]}
    token = max(places, key=lambda token: len(places[token]))
    assert len(places[token]) > 2
    config = replace(blip.config, text=replace(blip.config.text, sep_token_id=token))
    return Blip(replace(blip.components, config=config))


def caption_all(blip, options, batch_size=ROWS):
    images = [scene_image(index) for index in range(ROWS)]
    return blip.caption_ids(images, batch_size=batch_size, **LONG, **options)


def answer_all(blip, options, batch_size=ROWS):
    images = [scene_image(index // 2) for index in range(ROWS)]
    asked = [QUESTIONS[index % len(QUESTIONS)] for index in range(ROWS)]
    return blip.answer_ids(images, asked, batch_size=batch_size, **LONG, **options)


@pytest.fixture(scope="module", params=["captions", "answers", "captions of the demo"])
def closing(request, tiny_captioner, tiny_vqa, demo):
    """A model, and how it generates its texts."""
    subject, generate = {
        "captions": (tiny_captioner, caption_all),
        "answers": (tiny_vqa, answer_all),
        "captions of the demo": (demo, caption_all),
    }[request.param]
    blip = demo.blip if subject is demo else subject.exact
    return closing_at_different_steps(blip, generate), generate


@each_generation
def test_rows_that_close_at_different_steps(closing, options):
    blip, generate = closing
    alone = generate(blip, options, batch_size=1)
    for batch_size in (4, ROWS):
        assert generate(blip, options, batch_size=batch_size) == alone
    assert len({len(row) for row in alone}) > 1


# Token ids


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "seed": 1}])
@pytest.mark.parametrize("prompt", [None, "a large red"])
def test_token_ids_of_captions_are_the_captions(tiny_captioner, prompt, options):
    blip, images = tiny_captioner.exact, [scene_image(index) for index in range(3)]
    rows = blip.caption_ids(images, prompt, max_new_tokens=10, **options)
    assert [blip.texts.decode(row) for row in rows] == blip.caption(images, prompt, max_new_tokens=10, **options)
    assert blip.caption_ids(images[0], prompt, max_new_tokens=10, **options) == rows[:1]
    assert_token_rows(rows, blip.texts.prompt(prompt), blip.config.text, 10)
    assert blip.caption_ids([], prompt) == []


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "seed": 1}])
def test_token_ids_of_answers_are_the_answers(tiny_vqa, options):
    blip, image = tiny_vqa.exact, scene_image(0)
    rows = blip.answer_ids(image, QUESTIONS, max_new_tokens=10, **options)
    assert [blip.texts.decode(row) for row in rows] == blip.answer(image, QUESTIONS, max_new_tokens=10, **options)
    assert blip.answer_ids(image, QUESTIONS[0], max_new_tokens=10, **options) == rows[:1]
    assert_token_rows(rows, blip.texts.prompt(None), blip.config.text, 10)
    assert blip.answer_ids(image, []) == []


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "seed": 1}])
def test_details_say_of_what_tokens_a_text_is_and_whether_it_was_cut_off(tiny_vqa, options):
    blip, image, images = tiny_vqa.exact, scene_image(0), [scene_image(index) for index in range(6)]
    reasons = set()
    for verb, args in (("caption", (images,)), ("caption", (images, "a large red")), ("answer", (image, QUESTIONS))):
        found = getattr(blip, verb)(*args, return_details=True, max_new_tokens=4, **options)
        assert [made.text for made in found] == getattr(blip, verb)(*args, max_new_tokens=4, **options)
        rows = getattr(blip, f"{verb}_ids")(*args, max_new_tokens=4, **options)
        assert [list(made.token_ids) for made in found] == rows
        prompt = blip.texts.prompt(args[1] if verb == "caption" and len(args) > 1 else None)
        for made in found:
            assert (made.finish_reason == "length") == (len(made.token_ids) == len(prompt) + 4)
            reasons.add(made.finish_reason)
    assert reasons == {"stop", "length"}


def test_details_of_one_image_or_question_are_one(tiny_vqa):
    blip, image = tiny_vqa.exact, scene_image(0)
    for one, several in (
        (blip.caption(image, return_details=True), blip.caption([image], return_details=True)),
        (blip.answer(image, "red?", return_details=True), blip.answer(image, ["red?"], return_details=True)),
    ):
        assert isinstance(one, Generated)
        assert several == [one]


def assert_token_rows(rows, prompt, config, limit):
    for row in rows:
        assert row[: len(prompt)] == prompt
        assert config.sep_token_id not in row
        assert len(row) <= len(prompt) + limit
        assert all(type(token) is int and 0 <= token < config.vocab_size for token in row)
