"""Steps of the decoder: rows that leave, graphs of fixed and of open shapes, and what a step says of its logits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subjects import log_sum_exp, scene_image

from blipvino.graphs.answer import TOP_TOKENS
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
