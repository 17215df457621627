"""Packed examples: what is in which segment, and what carries loss."""

import numpy as np
import pytest

from blipvino.demo.captions import FROM_THE_TOP, caption, caption_from_the_top
from blipvino.demo.questions import sample_questions
from blipvino.demo.scenes import render, sample_scene, scene_rng
from blipvino.demo.vocabulary import build_tokenizer
from training.demo_model import DECODER_START, MAX_NEW_TOKENS
from training.packing import (
    CAPTION_SEGMENT,
    DECODER_TOKENS,
    IGNORED,
    PADDING_SEGMENT,
    QUESTION_TOKENS,
    QUESTIONS,
    packed_example,
)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def said(example, segment, tokenizer):
    """What the decoder is to say in a segment."""
    labels = example.labels[example.decoder_segments == segment]
    return tokenizer.decode(labels[labels != IGNORED].tolist()).replace(" ,", ",")


def asked(example, segment, tokenizer):
    return tokenizer.decode(example.question_ids[example.question_segments == segment].tolist())


@pytest.mark.parametrize("index", range(12))
def test_questions_answers_and_caption_come_back_from_their_segments(index, tokenizer):
    example, scene = packed_example("train", index, tokenizer, 4), sample_scene("train", index, 4)
    assert np.array_equal(example.image, render(scene))
    questions = {q.text: q for q in sample_questions(scene, scene_rng("train", index, 1), QUESTIONS)}
    segments = [segment for segment in example.kinds if segment != CAPTION_SEGMENT]
    assert len(segments) >= min(6, len(questions))
    for segment in segments:
        question = questions[asked(example, segment, tokenizer).replace(" ?", "?")]
        assert (said(example, segment, tokenizer), example.kinds[segment]) == (question.answer, question.kind)
    lengths = {len(example.question_ids), len(example.question_positions), len(example.question_segments)}
    assert lengths == {QUESTION_TOKENS}
    assert {len(example.decoder_ids), len(example.labels), len(example.decoder_segments)} == {DECODER_TOKENS}
    assert set(example.question_segments) <= {PADDING_SEGMENT, *segments}


def test_every_other_caption_is_from_the_top_and_its_prompt_carries_no_loss(tokenizer):
    for index in range(20):
        example, scene = packed_example("train", index, tokenizer, 4), sample_scene("train", index, 4)
        inside = example.decoder_segments == CAPTION_SEGMENT
        heard = tokenizer.decode(example.decoder_ids[inside][1:].tolist()).replace(" ,", ",")
        if index % 2:
            assert heard == caption_from_the_top(scene)
            assert said(example, CAPTION_SEGMENT, tokenizer) == caption_from_the_top(scene).removeprefix(
                "from the top, "
            )
            assert example.kinds[CAPTION_SEGMENT] == "caption from the top"
        else:
            assert heard == said(example, CAPTION_SEGMENT, tokenizer) == caption(scene)
            assert example.kinds[CAPTION_SEGMENT] == "caption"


def test_no_caption_is_longer_than_the_checkpoint_says(tokenizer):
    """The closing token counts, the prompt of a caption from the top does not."""

    def tokens(text):
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    scenes = [sample_scene("train", index) for index in range(400)]
    assert max(tokens(caption(scene)) for scene in scenes) + 1 == MAX_NEW_TOKENS
    assert max(tokens(caption_from_the_top(scene)) for scene in scenes) - tokens(FROM_THE_TOP) + 1 == MAX_NEW_TOKENS


def test_a_segment_begins_anew_and_predicts_its_next_token(tokenizer):
    example = packed_example("train", 2, tokenizer, 4)
    for segment in example.kinds:
        inside = example.decoder_segments == segment
        assert example.decoder_ids[inside][0] == DECODER_START
        assert example.decoder_positions[inside].tolist() == list(range(inside.sum()))
        labels = example.labels[inside]
        assert labels[-1] == tokenizer.token_to_id("[SEP]")
        carries = labels[:-1] != IGNORED
        assert np.array_equal(example.decoder_ids[inside][1:][carries], labels[:-1][carries])


def test_every_word_of_the_world_is_one_token_and_would_be_again():
    from training.vocabulary import texts, train_vocabulary

    kept = build_tokenizer().get_vocab()
    words = {word for text in texts(300) for word in text.replace(",", " ,").replace("?", " ?").split()}
    assert len(words) > 55 and words <= set(kept)
    anew = train_vocabulary()
    assert len(anew) == len(kept)
    assert {word: anew[word] for word in words} == {word: kept[word] for word in words}
