"""Training examples of the demo model: one picture with its questions, answers and caption, packed without padding.

All questions about a picture share one text sequence, and all its answers and its caption another; segment numbers
say which tokens belong together, so that attention masks keep them apart. The picture's keys and values are then
projected once for all of its questions, which is what makes training on two CPU cores practical.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from blipvino.demo.captions import caption
from blipvino.demo.questions import Question, sample_questions
from blipvino.demo.scenes import ImageArray, Scene, Split, render, sample_scene, scene_rng

IntArray = npt.NDArray[np.int64]

IGNORED = -100
"""Label of a position that carries no loss (as in `torch.nn.CrossEntropyLoss`)."""
CAPTION_SEGMENT = 99
"""Segment of the caption's tokens and of the image embeddings that they attend to."""
PADDING_SEGMENT = -1
QUESTION_TOKENS = 64
"""Length of the packed questions."""
DECODER_TOKENS = 42
"""Length of the packed answers and caption."""


@dataclass
class _Packer:
    """A fixed-length sequence that takes runs of tokens while they fit."""

    length: int
    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def fits(self, tokens: int) -> bool:
        return len(self.ids) + tokens <= self.length

    def add(self, ids: list[int], segment: int, labels: list[int] | None = None) -> None:
        self.ids += ids
        self.positions += range(len(ids))
        self.segments += [segment] * len(ids)
        self.labels += labels if labels is not None else [IGNORED] * len(ids)

    def arrays(self) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        missing = self.length - len(self.ids)
        columns = ((self.ids, 0), (self.positions, 0), (self.segments, PADDING_SEGMENT), (self.labels, IGNORED))
        ids, positions, segments, labels = (np.array(v + [fill] * missing, np.int64) for v, fill in columns)
        return ids, positions, segments, labels


@dataclass(frozen=True)
class PackedExample:
    """One picture (uint8 ``[H, W, 3]``) and its texts; every other array is int64 of a fixed length."""

    image: ImageArray
    question_ids: IntArray
    question_positions: IntArray
    question_segments: IntArray
    decoder_ids: IntArray
    decoder_positions: IntArray
    decoder_segments: IntArray
    labels: IntArray
    questions: tuple[Question, ...]


def pack_scene(scene: Scene, questions: list[Question], tokenizer: Tokenizer, decoder_start_id: int) -> PackedExample:
    """Pack a scene's caption and as many of the questions as fit."""
    asked, answered = _Packer(QUESTION_TOKENS), _Packer(DECODER_TOKENS)

    def decode_to(text: str, segment: int) -> None:
        target = tokenizer.encode(text).ids[1:]  # without [CLS], with the closing [SEP]
        answered.add([decoder_start_id, *target[:-1]], segment, labels=target)

    decode_to(caption(scene), CAPTION_SEGMENT)
    kept: list[Question] = []
    for question in questions:
        ids = tokenizer.encode(question.text).ids
        answer_tokens = len(tokenizer.encode(question.answer).ids) - 1
        if asked.fits(len(ids)) and answered.fits(answer_tokens):
            asked.add(ids, segment=len(kept))
            decode_to(question.answer, segment=len(kept))
            kept.append(question)
    question_arrays, decoder_arrays = asked.arrays(), answered.arrays()
    return PackedExample(render(scene), *question_arrays[:3], *decoder_arrays, questions=tuple(kept))


def packed_example(
    split: Split, index: int, tokenizer: Tokenizer, max_objects: int, decoder_start_id: int
) -> PackedExample:
    """The example number ``index`` of a split: its scene, and eight questions about it at the most."""
    scene = sample_scene(split, index, max_objects)
    questions = sample_questions(scene, scene_rng(split, index, 1), 8)
    return pack_scene(scene, questions, tokenizer, decoder_start_id)
