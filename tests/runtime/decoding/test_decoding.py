"""Decoding in the engine: rows that leave, graphs of fixed and of open shapes, token selection, bfloat16, modes."""

from dataclasses import replace

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from subjects import EXACT, scene_image

from blipvino import Blip, EngineOptions, Generated
from blipvino.data import open_source, take
from blipvino.graphs.answer import TOP_TOKENS, token_selection
from blipvino.runtime.compiling.compiler import Compiler
from blipvino.runtime.compiling.sizes import ANY

TOLERANCE = 1e-4
SOURCES = 5
STEPS = 6
QUESTIONS = (
    "red?",
    "how many objects are there?",
    "what color is the small striped object to the left of the large circle?",
    "is it large?",
    "what shape is the object?",
)


# Rows that leave


@pytest.fixture(scope="module", params=["images", "questions"])
def sources(request, tiny_captioner, tiny_vqa):
    """An engine, and states and mask of several sources: images, or questions of different lengths."""
    if request.param == "images":
        blip = tiny_captioner.exact
        states = blip.engine.image_embeds(blip.images.pixels([scene_image(index) for index in range(SOURCES)]))
        return blip.engine, states, np.ones(states.shape[:2], np.int64)
    blip = tiny_vqa.exact
    tokens = blip.texts.questions(QUESTIONS)
    projected = blip.engine.question_kv(blip.engine.image_embeds(blip.images.pixels([scene_image(0)])))
    return (
        blip.engine,
        blip.engine.question_states(tokens.input_ids, tokens.attention_mask, projected),
        tokens.attention_mask,
    )


def random_texts(seed, count, beams, prompt_length):
    """Random tokens ``[step][source, beam, T]``, and which beam of its source each continues, ``[step][source, beam]``.

    Those of a source do not depend on how many sources there are.
    """
    rngs = [np.random.default_rng([seed, source]) for source in range(count)]
    prompt = np.random.default_rng(seed).integers(5, 100, prompt_length)
    tokens, parents = [np.tile(prompt, (count, beams, 1))], [np.tile(np.arange(beams), (count, 1))]
    for _ in range(STEPS - 1):
        tokens.append(np.stack([rng.integers(5, 100, (beams, 1)) for rng in rngs]))
        parents.append(np.stack([rng.integers(0, beams, beams) for rng in rngs]))
    return tokens, parents


def run_steps(engine, states, mask, texts, lives):
    """The logits ``[beam, vocab]`` of every source at each step that it takes part in, under ``(step, source)``."""
    step, found = engine.decode(states, mask), {}
    before, (tokens, parents) = list(range(len(states))), texts
    for number in range(STEPS):
        live = [source for source in before if lives[source] > number]
        if not live:
            break
        beams = parents[number].shape[1]
        beam_idx = [before.index(source) * beams + parents[number][source] for source in live]
        scores = step(tokens[number][live].reshape(len(live) * beams, -1), np.concatenate(beam_idx))
        assert_selected(scores)
        logits = scores.logits()
        for place, source in enumerate(live):
            found[number, source] = logits[place * beams : (place + 1) * beams]
        before = live
    return found


def assert_selected(scores):
    """What a step says of the likeliest tokens is what its logits say."""
    logits, count = scores.logits(), scores.top_ids.shape[1]
    assert scores.top_ids.dtype == np.int64
    assert count == min(TOP_TOKENS, logits.shape[1])
    np.testing.assert_array_equal(scores.top_logits, -np.sort(-logits, axis=1)[:, :count])
    np.testing.assert_array_equal(scores.top_logits, np.take_along_axis(logits, scores.top_ids, axis=1))
    assert all(len(set(row)) == count for row in scores.top_ids.tolist())
    np.testing.assert_allclose(scores.log_normalizer, log_sum_exp(logits), rtol=1e-5, atol=1e-5)


def log_sum_exp(logits):
    logits = logits.astype(np.float64)
    largest = logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)) + largest


lives = st.lists(st.integers(1, STEPS), min_size=1, max_size=SOURCES)


@pytest.mark.parametrize("beams", [1, 3])
@settings(max_examples=15, deadline=None)
@given(lives=lives, seed=st.integers(0, 2**16), prompt_length=st.integers(1, 4))
def test_rows_that_stay_do_not_notice_those_that_leave(sources, beams, lives, seed, prompt_length):
    engine, states, mask = sources
    count = len(lives)
    texts = random_texts(seed, count, beams, prompt_length)
    whole = run_steps(engine, states[:count], mask[:count], texts, [STEPS] * count)
    found = run_steps(engine, states[:count], mask[:count], texts, lives)
    assert found.keys() == {(step, source) for source in range(count) for step in range(lives[source])}
    for place, logits in found.items():
        np.testing.assert_allclose(logits, whole[place], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("prompt_length", [1, 2, 4])
def test_every_order_of_leaving(sources, prompt_length):
    """Of three sources, whichever goes first and second; the third goes on alone in the graph for many."""
    engine, states, mask = sources
    texts = random_texts(9, 3, 1, prompt_length)
    whole = run_steps(engine, states[:3], mask[:3], texts, [STEPS] * 3)
    for lives_ in ((1, 2, 6), (1, 6, 2), (2, 1, 6), (2, 6, 1), (6, 1, 2), (6, 2, 1), (1, 1, 6), (6, 1, 1), (1, 6, 6)):
        for place, logits in run_steps(engine, states[:3], mask[:3], texts, lives_).items():
            np.testing.assert_allclose(logits, whole[place], atol=TOLERANCE, rtol=0)


# A graph for one row, and one for many


@pytest.fixture
def compiled(monkeypatch):
    """The rows and tokens of the decoders that were asked for: one and one, or any."""
    sizes, original = [], Compiler.request

    def request(self, name, wanted):
        if name == "answer":
            sizes.append((wanted.rows, wanted.tokens))
        return original(self, name, wanted)

    monkeypatch.setattr(Compiler, "request", request)
    return sizes


@pytest.mark.parametrize("prompt_length", [1, 2, 5])
@pytest.mark.parametrize("beams", [1, 3])
def test_sources_alone_are_sources_together(sources, compiled, beams, prompt_length):
    engine, states, mask = sources
    texts = random_texts(3, SOURCES, beams, prompt_length)
    together = run_steps(engine, states, mask, texts, [STEPS] * SOURCES)
    assert set(compiled) == {(ANY, ANY)}
    compiled.clear()
    for source in range(SOURCES):
        own = [[step[source : source + 1] for step in part] for part in texts]
        for (number, _), logits in run_steps(engine, states[[source]], mask[[source]], own, [STEPS]).items():
            np.testing.assert_allclose(logits, together[number, source], atol=TOLERANCE, rtol=0)
    assert set(compiled) == {(1, 1) if beams == 1 else (ANY, ANY)}


def test_logits_differ_where_the_sources_differ(sources):
    """The comparisons above would all hold of a decoder that does not look at its source, its tokens or its order."""
    engine, states, mask = sources
    texts = random_texts(3, SOURCES, 1, 1)
    same = [np.repeat(step[:1], SOURCES, axis=0) for step in texts[0]], texts[1]
    rows = run_steps(engine, states, mask, same, [STEPS] * SOURCES)
    for one in range(SOURCES):
        for other in range(one):
            assert np.abs(rows[STEPS - 1, one] - rows[STEPS - 1, other]).max() > 100 * TOLERANCE
    turned = run_steps(engine, states, mask, (same[0][:1] + same[0][:0:-1], same[1]), [STEPS] * SOURCES)
    assert np.abs(turned[STEPS - 1, 0] - rows[STEPS - 1, 0]).max() > 100 * TOLERANCE


def test_a_decoding_starts_afresh(sources):
    """Whatever the decoding before left in the graph's state and in the memory of the keys and values."""
    engine, states, mask = sources
    for count in (1, SOURCES):
        texts = random_texts(1, count, 1, 2)
        first = run_steps(engine, states[:count], mask[:count], texts, [STEPS] * count)
        run_steps(engine, states[::-1][:count], mask[::-1][:count], random_texts(2, count, 3, 1), [2] * count)
        again = run_steps(engine, states[:count], mask[:count], texts, [STEPS] * count)
        assert first.keys() == again.keys()
        for place, logits in first.items():
            np.testing.assert_array_equal(again[place], logits)


def test_what_a_step_said_stays(sources):
    engine, states, mask = sources
    step = engine.decode(states, mask)
    scores = step(np.full((SOURCES, 1), 7), np.arange(SOURCES))
    kept = [array.copy() for array in (scores.top_ids, scores.top_logits, scores.log_normalizer)]
    step(np.full((SOURCES, 1), 11), np.arange(SOURCES))
    for array, before in zip((scores.top_ids, scores.top_logits, scores.log_normalizer), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_questions_of_every_length(tiny_vqa):
    """Lengths at which a padded text changes its graph, and the one that an image's embeddings have."""
    blip, features = tiny_vqa.exact, tiny_vqa.exact.features(scene_image(0))
    lengths = [3, 7, 8, 9, 15, 16, blip.config.vision.num_positions, 18, 31, 32, 33, 63, 64]
    texts = [
        " ".join(["red", "large", "circle"][length % 3 :] + ["blue"] * 64).split()[: length - 2] for length in lengths
    ]
    questions = [" ".join(words) for words in texts]
    assert [blip.texts.questions([text]).input_ids.shape[1] for text in questions] == lengths
    alone = [blip.answer_ids(features, text, max_new_tokens=6)[0] for text in questions]
    assert blip.answer_ids(features, questions, max_new_tokens=6, batch_size=len(lengths)) == alone
    for first in range(0, len(lengths), 2):
        batch = slice(first, first + 2)
        assert blip.answer_ids(features, questions[batch], max_new_tokens=6) == alone[batch]
    assert len({tuple(row) for row in alone}) > 4


# Token selection


@settings(max_examples=40, deadline=None)
@given(data=st.data(), vocab=st.sampled_from([1, 3, TOP_TOKENS, 40]), scale=st.sampled_from([1.0, 1e2, 1e4]))
def test_token_selection_of_any_logits(selections, data, vocab, scale):
    elements = st.floats(-1, 1, width=32)
    logits = data.draw(arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(vocab)), elements=elements))
    logits = logits * np.float32(scale)
    ids, top, normalizer = selections(logits)
    count = min(TOP_TOKENS, vocab)
    assert (ids.shape, normalizer.shape) == ((len(logits), count), (len(logits), 1))
    np.testing.assert_array_equal(top, -np.sort(-logits, axis=1)[:, :count])
    np.testing.assert_array_equal(top, np.take_along_axis(logits, ids, axis=1))
    assert all(len(set(row)) == count for row in ids.tolist())
    np.testing.assert_allclose(normalizer, log_sum_exp(logits), rtol=1e-5, atol=1e-4)


@pytest.fixture(scope="module")
def selections(tiny_vqa):
    """`token_selection` as a function of logits of any vocabulary."""
    compiled = {}

    def select(logits):
        vocab = logits.shape[1]
        if vocab not in compiled:
            given_ = ops.parameter([-1, vocab], np.float32, "logits")
            results = token_selection(given_, replace(tiny_vqa.blip.config.text, vocab_size=vocab))
            compiled[vocab] = ov.Core().compile_model(ov.Model(results, [given_]), "CPU", EXACT.properties())
        outputs = compiled[vocab](logits)
        return [outputs[name] for name in ("top_ids", "top_logits", "log_normalizer")]

    return select


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


# Precision and modes


@pytest.fixture(scope="module")
def pairs():
    """200 test questions of the demo, and their images."""
    samples = take(open_source("demo:test"), 200)
    listed = [
        (image, question.text) for sample in samples for image in [sample.image()] for question in sample.questions
    ]
    assert len(listed) == 200
    return [list(side) for side in zip(*listed, strict=True)]


@pytest.fixture(scope="module")
def in_bf16(demo):
    """The demo with bfloat16 arithmetic: emulated where the CPU has none."""
    return Blip.load(demo.bundle, options=EngineOptions(precision="bf16", threads=1))


def test_bf16_says_what_f32_says(demo, in_bf16, pairs):
    exact, found = (blip.answer_ids(*pairs, batch_size=16, max_new_tokens=10) for blip in (demo.blip, in_bf16))
    agreeing = sum(one == other for one, other in zip(exact, found, strict=True))
    assert agreeing >= 0.98 * len(exact)
    assert len({tuple(row) for row in exact}) > 10


def test_bf16_keys_and_values_cross_as_bf16(demo, in_bf16):
    pixels = demo.blip.images.pixels([scene_image(0), scene_image(1)])
    embeds = demo.blip.engine.image_embeds(pixels)
    for name, states in (("answer_kv", embeds), ("question_kv", embeds[:1])):
        exact, narrow = (getattr(blip.engine, name)(states) for blip in (demo.blip, in_bf16))
        assert {array.dtype for array in exact.tensors.values()} == {np.dtype(np.float32)}
        assert {array.dtype for array in narrow.tensors.values()} == {np.dtype(np.uint16)}
        assert (2 * narrow.nbytes, narrow.batch) == (exact.nbytes, exact.batch)
        assert exact.tensors.keys() == narrow.tensors.keys()
        for port, array in exact.tensors.items():
            widened = (narrow.tensors[port].astype(np.uint32) << 16).view(np.float32)
            assert np.abs(widened - array).max() < 0.05 * np.abs(array).max()


@pytest.mark.parametrize("beams", [1, 3])
def test_bf16_rows_that_leave(demo, in_bf16, beams):
    """Sources move in memory as bits here."""
    images = [scene_image(index) for index in range(6)]
    alone = in_bf16.caption_ids(images, num_beams=beams, batch_size=1, **LONG)
    together = in_bf16.caption_ids(images, num_beams=beams, batch_size=6, **LONG)
    assert sum(one != other for one, other in zip(alone, together, strict=True)) <= 1
    assert len({len(row) for row in alone}) > 1


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "throughput"},
        {"mode": "throughput", "threads": 1},
        {"mode": "latency"},
    ],
    ids=str,
)
def test_modes_and_threads_say_the_same(demo, pairs, options):
    images, asked = (side[:40] for side in pairs)
    blip = Blip.load(demo.bundle, options=EngineOptions(precision="f32", **options))
    pictures = [scene_image(index) for index in range(7)]
    embeds, expected = (model.engine.image_embeds(model.images.pixels(pictures)) for model in (blip, demo.blip))
    np.testing.assert_allclose(embeds, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)
    assert blip.answer_ids(images, asked, max_new_tokens=10) == demo.blip.answer_ids(images, asked, max_new_tokens=10)
    assert blip.caption_ids(pictures, **LONG) == demo.blip.caption_ids(pictures, **LONG)
    assert list(blip.caption_stream(pictures, batch_size=2, **LONG)) == demo.blip.caption(pictures, **LONG)
