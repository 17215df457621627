"""The tokens that blipvino generates are those of transformers' ``generate``, and of first principles.

The oracle gets one image and one question at a time: it attends to padding, and blipvino does not. blipvino gets them
in batches. Both compute with float32 weights (`Subject.exact`), so only the order of additions may differ.
"""

import itertools
import json
import shutil
from collections import Counter

import numpy as np
import pytest
from subjects import Subject, scene_image, scene_questions

from blipvino import CheckpointError, GenerationOptions, InputError
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.graphs.building import build_graph
from blipvino.runtime.decoding import generation
from blipvino.runtime.decoding.token_scores import Scores


def generate(step, prompt, rows, eos_token_id, options):
    """The tokens of `finished`."""
    return [list(row.token_ids) for row in finished(step, prompt, rows, eos_token_id, options)]


def finished(step, prompt, rows, eos_token_id, options):
    """`generation.generate` with the rows' own generators, as `Blip` calls it."""
    draws = generation.row_generators(rows, options.seed)
    return generation.generate(step, prompt, draws, eos_token_id, options)


torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PROMPTS = ("a large red", "two circles and", "there is")
GREEDY = (
    {"max_new_tokens": 1},
    {"max_new_tokens": 5},
    {"max_new_tokens": 20},
    {"max_new_tokens": 10, "min_new_tokens": 6},
    {"max_new_tokens": 9, "min_new_tokens": 9},
    {"max_new_tokens": 14, "repetition_penalty": 1.3},
    {"max_new_tokens": 14, "repetition_penalty": 0.7, "min_new_tokens": 4},
    {"max_new_tokens": 14, "no_repeat_ngram_size": 1},
    {"max_new_tokens": 20, "no_repeat_ngram_size": 2},
    {"max_new_tokens": 20, "no_repeat_ngram_size": 3, "min_new_tokens": 12},
    {"max_new_tokens": 20, "no_repeat_ngram_size": 2, "repetition_penalty": 0.7, "min_new_tokens": 12},
)
BEAMS = (
    {"num_beams": 2, "max_new_tokens": 12},
    {"num_beams": 3, "max_new_tokens": 12},
    {"num_beams": 5, "max_new_tokens": 12},
    {"num_beams": 5, "max_new_tokens": 1},
    {"num_beams": 3, "max_new_tokens": 12, "length_penalty": 0.5},
    {"num_beams": 3, "max_new_tokens": 12, "length_penalty": 2.0},
    {"num_beams": 3, "max_new_tokens": 12, "length_penalty": -1.0},
    {"num_beams": 3, "max_new_tokens": 10, "min_new_tokens": 5},
    {"num_beams": 3, "max_new_tokens": 12, "repetition_penalty": 1.3},
    {"num_beams": 5, "max_new_tokens": 9, "min_new_tokens": 3, "length_penalty": 0.5, "repetition_penalty": 1.3},
    {"num_beams": 2, "max_new_tokens": 14, "no_repeat_ngram_size": 1},
    {"num_beams": 3, "max_new_tokens": 16, "no_repeat_ngram_size": 2, "min_new_tokens": 8},
    {"num_beams": 5, "max_new_tokens": 16, "no_repeat_ngram_size": 2, "repetition_penalty": 0.7, "min_new_tokens": 8},
)


def name_options(options):
    return " ".join(f"{name}={value}" for name, value in options.items())


each_option = pytest.mark.parametrize("options", [*GREEDY, *BEAMS], ids=name_options)


def until_closed(tokens, subject, prompt_length=1):
    """The oracle's tokens without the closing one and the padding after it."""
    tokens, closing = tokens.tolist(), subject.oracle.config.text_config.sep_token_id
    end = tokens.index(closing, prompt_length) if closing in tokens[prompt_length:] else len(tokens)
    return tokens[:end]


@torch.no_grad()
def oracle_caption(subject, image, prompt=None, **options):
    """transformers' tokens for one image: of the decoder over the image embeddings."""
    oracle, text = subject.oracle, subject.oracle.config.text_config
    start = [text.bos_token_id] + ([] if prompt is None else subject.tokenizer(prompt)["input_ids"][1:-1])
    tokens = oracle.text_decoder.generate(
        input_ids=torch.tensor([start]),
        eos_token_id=text.sep_token_id,
        pad_token_id=text.pad_token_id,
        encoder_hidden_states=oracle.vision_model(pixel_values=subject.pixel_values([image]))[0],
        **options,
    )
    return until_closed(tokens[0], subject, len(start))


@torch.no_grad()
def oracle_answer(subject, image, question, **options):
    """transformers' tokens for one question, by `BlipForQuestionAnswering.generate`."""
    asked = subject.tokenizer(question, return_tensors="pt")
    inputs = {"input_ids": asked["input_ids"], "attention_mask": asked["attention_mask"]}
    tokens = subject.oracle.generate(pixel_values=subject.pixel_values([image]), **inputs, **options)
    return until_closed(tokens[0], subject)


def assert_varied(texts, distinct_tokens, distinct_texts):
    """A model that says one thing always would agree with any other such model."""
    assert len({token for text in texts for token in text}) >= distinct_tokens
    assert len({tuple(text) for text in texts}) >= distinct_texts


@each_option
def test_captions(subject, options):
    images = [scene_image(index) for index in range(3)]
    assert subject.caption_tokens(images, **options) == [oracle_caption(subject, image, **options) for image in images]


@each_option
def test_answers(answerer, options):
    image, questions = scene_image(4), scene_questions(4)[:3]
    expected = [oracle_answer(answerer, image, question, **options) for question in questions]
    assert answerer.answer_tokens(image, questions, **options) == expected


HEAD = "text_decoder.cls.predictions"
OTHER_HEADS = {
    "untied": ((False, False), {"decoder.weight", "bias", "decoder.bias"}),
    "untied, one bias that nothing adds": ((False, False), {"decoder.weight", "bias"}),
    "untied, no bias": ((False, False), {"decoder.weight"}),
    "tied, two biases": ((True, True), {"bias", "decoder.bias"}),
    "tied, one bias under the other name": ((True, True), {"decoder.bias"}),
    "tied by text_config alone": ((False, True), {"bias"}),
    "tied by the whole alone": ((True, False), {"bias"}),
    "tied, three of its own": ((True, True), {"decoder.weight", "bias", "decoder.bias"}),
}
"""Whether the whole configuration ties, whether its text_config does, and what is stored of the output layer."""


def write_other_head(source, folder, ties, stored):
    """A copy of a checkpoint that ties, with other values than its own in all that is stored of its output layer."""
    safetensors = pytest.importorskip("safetensors.torch")
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config["tie_word_embeddings"], config["text_config"]["tie_word_embeddings"] = ties
    (folder / "config.json").write_text(json.dumps(config))
    tensors = safetensors.load_file(folder / "model.safetensors")
    words, bias = tensors["text_decoder.bert.embeddings.word_embeddings.weight"], tensors.pop(f"{HEAD}.bias")
    others = {"decoder.weight": words.flip(0), "bias": bias.roll(7), "decoder.bias": bias.roll(3)}
    tensors |= {f"{HEAD}.{name}": others[name].contiguous() for name in stored}
    safetensors.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


QUICK_HEADS = {"untied, no bias", "tied, one bias under the other name", "tied, three of its own"}
HEADS = [name if name in QUICK_HEADS else pytest.param(name, marks=pytest.mark.slow) for name in OTHER_HEADS]


@pytest.mark.parametrize("name", HEADS)
def test_other_output_layers(tiny_vqa, tmp_path, name):
    """The output layer is tied, or stored, or partly filled in, by the rules of `from_pretrained`."""
    write_other_head(tiny_vqa.folder, tmp_path / "checkpoint", *OTHER_HEADS[name])
    oracle = transformers.BlipForQuestionAnswering.from_pretrained(tmp_path / "checkpoint").eval()
    (tmp_path / "work").mkdir()
    subject = Subject(tmp_path / "checkpoint", tmp_path / "work", oracle)
    images, questions, options = [scene_image(index) for index in range(4)], scene_questions(4)[:4], {"num_beams": 3}
    captions = subject.caption_tokens(images, **options)
    assert captions == [oracle_caption(subject, image, **options) for image in images]
    answers = subject.answer_tokens(images[0], questions, **options)
    assert answers == [oracle_answer(subject, images[0], question, **options) for question in questions]
    assert captions != tiny_vqa.caption_tokens(images, **options)
    assert_varied([*captions, *answers], 6, 4)


@pytest.mark.parametrize(
    ("ties", "stored", "message"),
    [
        ((True, True), {"decoder.weight"}, "neither .*decoder.bias.* nor .*predictions.bias"),
        ((False, False), {"bias", "decoder.bias"}, "no tensor .*decoder.weight"),
    ],
)
def test_output_layers_that_transformers_leaves_to_chance_are_refused(tiny_vqa, tmp_path, ties, stored, message):
    """It leaves tied biases of which neither is stored uninitialised, and draws a projection that is not stored."""
    write_other_head(tiny_vqa.folder, tmp_path / "checkpoint", ties, stored)
    with load_checkpoint(tmp_path / "checkpoint") as checkpoint, pytest.raises(CheckpointError, match=message):
        build_graph(checkpoint, "answer")


@pytest.mark.slow
def test_full_size_captions_and_answers(tmp_path):
    """BLIP-base with random weights. Its question is of the demo's vocabulary, whose ids it has among its own."""
    from benchmarks.random_checkpoint import write_random_checkpoint

    folder = write_random_checkpoint(tmp_path / "checkpoint")
    oracle = transformers.BlipForQuestionAnswering.from_pretrained(folder, dtype=torch.float32).eval()
    subject = Subject(folder, tmp_path, oracle)
    image, question = scene_image(3), "what color is the large circle?"
    for options in ({"max_new_tokens": 6}, {"num_beams": 3, "max_new_tokens": 6}):
        assert subject.caption_tokens([image], **options) == [oracle_caption(subject, image, **options)]
        assert subject.answer_tokens(image, [question], **options) == [
            oracle_answer(subject, image, question, **options)
        ]


@pytest.mark.parametrize("options", [{"max_new_tokens": 8}, {"num_beams": 3, "max_new_tokens": 8}], ids=name_options)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompted_captions(subject, prompt, options):
    images = [scene_image(index) for index in range(3)]
    expected = [oracle_caption(subject, image, prompt, **options) for image in images]
    assert subject.caption_tokens(images, prompt, **options) == expected


@pytest.mark.parametrize("options", [{"max_new_tokens": 8}, {"num_beams": 3, "max_new_tokens": 8}], ids=name_options)
@pytest.mark.parametrize("prompt", [None, *PROMPTS])
def test_captioning_model_as_a_whole(tiny_captioner, prompt, options):
    """The oracle here is `BlipForConditionalGeneration.generate` with the tokenized prompt, as its users call it."""
    images = [scene_image(index) for index in range(2)]
    given = {} if prompt is None else dict(tiny_captioner.tokenizer(prompt, return_tensors="pt"))
    given.pop("token_type_ids", None)
    expected = []
    for image in images:
        inputs = {name: value.clone() for name, value in given.items()}  # upstream writes into them
        pixel_values = tiny_captioner.pixel_values([image])
        tokens = tiny_captioner.oracle.generate(pixel_values=pixel_values, **inputs, **options)[0]
        expected.append(tiny_captioner.tokenizer.decode(tokens, skip_special_tokens=True))
    assert tiny_captioner.exact.caption(images, prompt, **options) == expected


def test_the_tiny_models_say_varied_things(tiny_vqa, tiny_captioner):
    """Else the tests above would compare nothing. Some texts must close by themselves, some must not."""
    image, questions = scene_image(4), scene_questions(4)[:4]
    answers = tiny_vqa.answer_tokens(image, questions, max_new_tokens=12)
    assert_varied(answers, distinct_tokens=6, distinct_texts=3)
    images = [scene_image(index) for index in range(4)]
    for subject in (tiny_vqa, tiny_captioner):
        captions = subject.caption_tokens(images, max_new_tokens=12)
        assert_varied(captions, distinct_tokens=10, distinct_texts=4)
        penalized = subject.caption_tokens(images, max_new_tokens=12, repetition_penalty=1.3)
        beams = subject.caption_tokens(images, max_new_tokens=12, num_beams=5)
        assert captions != penalized
        assert captions != beams
    for num_beams in (1, 3):
        freely, once = (
            tiny_captioner.caption_tokens(images, max_new_tokens=20, min_new_tokens=12, num_beams=num_beams, **given)
            for given in ({}, {"no_repeat_ngram_size": 2})
        )
        assert freely != once
    many = tiny_vqa.caption_tokens([scene_image(index) for index in range(16)], max_new_tokens=20)
    assert len({len(text) for text in many}) >= 3


def decoded(subject, tokens):
    return subject.tokenizer.decode(tokens, skip_special_tokens=True)


def test_demo_captions_as_text(demo):
    images = [scene_image(index) for index in range(50)]
    with torch.no_grad():  # all at once: no source is padded here, and greedy rows do not meet
        embeds = demo.oracle.vision_model(pixel_values=demo.pixel_values(images))[0]
        text = demo.oracle.config.text_config
        start, sources = torch.full((50, 1), text.bos_token_id), {"encoder_hidden_states": embeds}
        closing = {"eos_token_id": text.sep_token_id, "pad_token_id": text.pad_token_id}
        rows = demo.oracle.text_decoder.generate(input_ids=start, max_new_tokens=40, **closing, **sources)
    expected = demo.tokenizer.batch_decode(rows, skip_special_tokens=True)
    assert demo.exact.caption(images, max_new_tokens=40, batch_size=16) == expected
    assert len(set(expected)) >= 40


def test_demo_answers_as_text(demo):
    pairs = [(scene_image(index), question) for index in range(50) for question in scene_questions(index)[:2]]
    expected = [decoded(demo, oracle_answer(demo, *pair, max_new_tokens=10)) for pair in pairs]
    images, questions = zip(*pairs, strict=True)
    assert demo.exact.answer(images, questions, max_new_tokens=10, batch_size=16) == expected
    assert len(set(expected)) >= 10


def test_demo_bundle_in_half_precision_says_the_same(demo):
    """What `optimize` writes, rather than float32 graphs: rounding may decide a near tie, and no more."""
    images = [scene_image(index) for index in range(50)]
    questions = [scene_questions(index)[0] for index in range(50)]
    for verb, given in (("caption", (images,)), ("answer", (images, questions))):
        full, half = (getattr(blip, verb)(*given, max_new_tokens=40) for blip in (demo.exact, demo.blip))
        assert sum(one != other for one, other in zip(full, half, strict=True)) <= 1


# From here on no model: a scripted step, and the definitions written out.


CLOSING = 0


class Script:
    """A decoder whose logits are a random function of a text so far and of its row's own seed."""

    def __init__(self, vocab, seeds, scale=2.0):
        self.vocab, self.seeds, self.scale = vocab, seeds, scale
        self.texts = None

    def logits(self, seed, text):
        noise = np.random.default_rng([seed, *text]).standard_normal(self.vocab)
        return (self.scale * noise).astype(np.float32)

    def __call__(self, input_ids, beam_idx):
        if self.texts is None:
            self.rows = np.repeat(self.seeds, len(input_ids) // len(self.seeds)).tolist()
            self.texts = [()] * len(input_ids)
        self.rows, past = ([kept[row] for row in beam_idx] for kept in (self.rows, self.texts))
        self.texts = [before + tuple(new) for before, new in zip(past, input_ids.tolist(), strict=True)]
        return scores_of(np.stack([self.logits(*row) for row in zip(self.rows, self.texts, strict=True)]))


def scores_of(logits, count=16):
    """What a step returns that has these logits."""
    top = np.argsort(-logits, axis=1, kind="stable")[:, :count]
    normalizer = np.log(np.exp(logits).sum(axis=1, keepdims=True))
    top_logits, rows = np.take_along_axis(logits, top, axis=1), np.arange(len(logits))
    return Scores(top, top_logits, normalizer, lambda some: logits[some], rows)


def log_softmax(logits):
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


def exhaustive_search(script, seed, prompt, options):
    """The best of all texts that close within the limit or reach it, scored one by one."""
    best, best_score = None, -np.inf
    for length in range(1, options.max_new_tokens + 1):
        for new in itertools.product(range(script.vocab), repeat=length):
            closed = new[-1] == CLOSING
            if CLOSING in new[:-1] or (not closed and length < options.max_new_tokens):
                continue
            if closed and length <= options.min_new_tokens:
                continue
            text = tuple(prompt)
            score = 0.0
            for token in new:
                score += log_softmax(script.logits(seed, text))[token]
                text += (token,)
            score /= length**options.length_penalty
            if score > best_score:
                best, best_score = list(text[:-1] if closed else text), score
    return best


@pytest.mark.parametrize("options", [{}, {"length_penalty": 0.5}, {"length_penalty": 2.0}, {"min_new_tokens": 2}])
@pytest.mark.parametrize("prompt", [[3], [1, 2]])
def test_beams_enough_for_every_text_find_the_best(prompt, options):
    vocab, length = 4, 4
    chosen = GenerationOptions(max_new_tokens=length, num_beams=vocab**length, **options)
    seeds = list(range(3))
    found = generate(Script(vocab, seeds), prompt, len(seeds), CLOSING, chosen)
    assert found == [exhaustive_search(Script(vocab, seeds), seed, prompt, chosen) for seed in seeds]
    assert len({len(text) for text in found}) > 1 or options


def greedy_search(script, seed, prompt, limit):
    text = list(prompt)
    for _ in range(limit):
        token = int(script.logits(seed, text).argmax())
        if token == CLOSING:
            break
        text.append(token)
    return text


def test_greedy_takes_the_likeliest_token():
    seeds = list(range(20))
    script = Script(6, seeds)
    found = generate(script, [2, 5], len(seeds), CLOSING, GenerationOptions(max_new_tokens=12))
    assert found == [greedy_search(script, seed, [2, 5], 12) for seed in seeds]
    assert len({len(text) for text in found}) > 4


@pytest.mark.parametrize("num_beams", [1, 2, 4])
def test_a_row_does_not_depend_on_the_others(num_beams):
    options = GenerationOptions(max_new_tokens=10, num_beams=num_beams)
    together = generate(Script(6, range(12)), [1], 12, CLOSING, options)
    alone = [generate(Script(6, [seed]), [1], 1, CLOSING, options)[0] for seed in range(12)]
    assert together == alone


def test_beam_search_never_scores_below_greedy_without_penalty():
    """Not so in general, but with every prefix kept it must hold: a guard of the score's sign."""
    options = GenerationOptions(max_new_tokens=3, num_beams=64, length_penalty=0.0)
    script = Script(4, range(10))
    for seed, text in enumerate(generate(script, [1], 10, CLOSING, options)):
        greedy = greedy_search(script, seed, [1], 3)
        assert score(script, seed, text) >= score(script, seed, greedy) - 1e-5


def score(script, seed, text):
    closed = text if len(text) == 4 else [*text, CLOSING]
    return sum(log_softmax(script.logits(seed, closed[:end]))[closed[end]] for end in range(1, len(closed)))


def test_prompt_that_holds_the_closing_token_is_kept():
    found = generate(Script(5, [7]), [1, CLOSING, 2], 1, CLOSING, GenerationOptions(max_new_tokens=3))
    assert found[0][:3] == [1, CLOSING, 2]


@pytest.mark.parametrize(
    "options", [{}, {"num_beams": 3}, {"do_sample": True, "top_k": 0, "seed": 5}], ids=name_options
)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_comes_twice(size, options):
    vocab, prompt = 40, [3, 1]
    chosen = GenerationOptions(max_new_tokens=24, min_new_tokens=24, no_repeat_ngram_size=size, **options)
    for text in generate(Script(vocab, range(12), scale=4.0), prompt, 12, CLOSING, chosen):
        ngrams = [tuple(text[place : place + size]) for place in range(len(text) - size + 1)]
        assert len(set(ngrams)) == len(ngrams)


def test_where_no_token_is_left_drawing_says_so():
    options = GenerationOptions(do_sample=True, max_new_tokens=6, min_new_tokens=6, no_repeat_ngram_size=1)
    with pytest.raises(InputError, match="no token may come next"):
        generate(Script(4, [1]), [1], 1, CLOSING, options)


SAMPLING = {"do_sample": True, "max_new_tokens": 12}
EACH_WAY = ({}, {"num_beams": 3}, {"do_sample": True, "top_k": 1, "seed": 0})


def reciting(*text):
    """A decoder that is as good as sure of a text, then of closing it, over a prompt of one token."""
    places = itertools.chain([*text, CLOSING], itertools.repeat(4))  # beams may look further

    def step(input_ids, order):
        return scores_of(np.tile(20 * np.eye(8, dtype=np.float32)[next(places)], (len(input_ids), 1)))

    return step


@pytest.mark.parametrize("options", EACH_WAY)
@pytest.mark.parametrize(
    ("limit", "tokens", "reason"), [(2, (1, 5, 6), "length"), (3, (1, 5, 6), "stop"), (4, (1, 5, 6), "stop")]
)
def test_a_text_says_whether_it_closed(options, limit, tokens, reason):
    chosen = GenerationOptions(max_new_tokens=limit, **options)
    (row,) = finished(reciting(5, 6), [1], 1, CLOSING, chosen)
    assert (row.token_ids, row.finish_reason) == (tokens, reason)
    assert row.log_probs == pytest.approx([0.0] * min(limit, 3), abs=1e-6)
    assert max(row.log_probs) <= 0


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"num_beams": 4}, {"do_sample": True, "seed": 0}])
def test_texts_that_the_limit_cuts_off_are_as_long_as_it_allows(options):
    limit, prompt = 5, [2, CLOSING]
    rows = finished(Script(6, range(40)), prompt, 40, CLOSING, GenerationOptions(max_new_tokens=limit, **options))
    assert {row.finish_reason for row in rows} == {"stop", "length"}
    for row in rows:
        assert (row.finish_reason == "length") == (len(row.token_ids) == len(prompt) + limit)


def test_sampling_is_reproducible_by_its_seed():
    seeds = list(range(8))

    def draw(seed):
        return generate(Script(8, seeds), [1], 8, CLOSING, GenerationOptions(**SAMPLING, seed=seed))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert draw(None) != draw(None)


def test_sampling_the_single_likeliest_is_greedy():
    seeds = list(range(10))
    greedy = generate(Script(8, seeds), [1], 10, CLOSING, GenerationOptions(max_new_tokens=12))
    for only in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-3}):
        assert generate(Script(8, seeds), [1], 10, CLOSING, GenerationOptions(**SAMPLING, **only)) == greedy


def test_a_row_is_drawn_alike_whatever_the_other_rows_are():
    options = GenerationOptions(**SAMPLING, seed=3)
    few = generate(Script(8, [4, 5]), [1], 2, CLOSING, options)
    many = generate(Script(8, [4, 5, 60, 70, 80]), [1], 5, CLOSING, options)
    assert many[:2] == few


def test_rows_alike_are_drawn_apart():
    found = generate(Script(8, [4] * 6), [1], 6, CLOSING, GenerationOptions(**SAMPLING, seed=3))
    assert len({tuple(text) for text in found}) > 3


def expected_distribution(logits, temperature=1.0, top_k=0, top_p=1.0):
    """Temperature, then the k likeliest, then the fewest likeliest that reach the probability p."""
    weights = np.exp(log_softmax(logits / temperature))
    likeliest_first = np.argsort(-weights)
    if top_k:
        weights[likeliest_first[top_k:]] = 0
    weights /= weights.sum()
    reached = weights[likeliest_first].cumsum()
    weights[likeliest_first[1:][reached[:-1] >= top_p]] = 0
    return weights / weights.sum()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 3.0},
        {"top_k": 3},
        {"top_p": 0.7},
        {"temperature": 2.0, "top_p": 0.9},
        {"temperature": 1.5, "top_k": 4, "top_p": 0.8},
    ],
    ids=name_options,
)
def test_sampled_tokens_follow_their_probabilities(options):
    rows, vocab = 8000, 7
    logits = np.array([0.3, 2.0, 1.1, -0.5, 1.6, 0.0, -2.0], np.float32)
    chosen = GenerationOptions(do_sample=True, max_new_tokens=1, seed=0, **{"top_k": 0, **options})
    found = generate(lambda ids, order: scores_of(np.tile(logits, (len(ids), 1))), [1], rows, vocab, chosen)
    counts = Counter(text[-1] for text in found)
    expected = expected_distribution(logits, **options)
    for token in range(vocab):
        spread = np.sqrt(expected[token] * (1 - expected[token]) / rows)
        assert abs(counts[token] / rows - expected[token]) <= 4.5 * spread
    assert 0 in expected or not {"top_k", "top_p"} & set(options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("max_new_tokens", -3),
        ("min_new_tokens", -1),
        ("min_new_tokens", 21),
        ("num_beams", 0),
        ("temperature", 0.0),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("no_repeat_ngram_size", -1),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("top_p", float("nan")),
        ("repetition_penalty", 0.0),
        ("repetition_penalty", float("nan")),
        ("length_penalty", float("nan")),
        ("seed", -1),
        # Of another type than theirs:
        ("max_new_tokens", 2.5),
        ("max_new_tokens", "5"),
        ("max_new_tokens", None),
        ("num_beams", 1.5),
        ("top_k", 2.5),
        ("no_repeat_ngram_size", 1.5),
        ("temperature", "hot"),
        ("length_penalty", "long"),
        ("seed", "first"),
    ],
)
def test_options_out_of_range_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        GenerationOptions(**{name: value})


def test_beams_and_sampling_exclude_each_other():
    with pytest.raises(InputError, match="num_beams"):
        GenerationOptions(num_beams=2, do_sample=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_p", 1.0),
        ("top_k", 0),
        ("no_repeat_ngram_size", 0),
        ("num_beams", 1),
        ("max_new_tokens", 1),
        ("seed", 0),
        ("length_penalty", -2.0),
    ],
)
def test_options_at_their_limits_are_taken(name, value):
    assert getattr(GenerationOptions(**{name: value}), name) == value
