"""Training examples of the demo model: one picture with its questions, answers and caption, packed without padding.

All questions about a picture share one text sequence, and all its answers and its caption another; segment numbers
say which tokens belong together, so that attention masks keep them apart. The picture's keys and values are then
projected once for all of its questions, which makes each of them cheap.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from blipvino.demo.captions import FROM_THE_TOP, caption, caption_from_the_top
from blipvino.demo.questions import Question, sample_questions
from blipvino.demo.scenes import ImageArray, Scene, Split, render, sample_scene, scene_rng
from training.demo_model import DECODER_START

IntArray = npt.NDArray[np.int64]

IGNORED = -100
"""Label of a position that carries no loss (as in `torch.nn.CrossEntropyLoss`)."""
CAPTION_SEGMENT = 99
"""Segment of the caption's tokens and of the image embeddings that they attend to."""
PADDING_SEGMENT = -1
QUESTIONS = 9
"""Questions asked about a picture, at most."""
QUESTION_TOKENS = 96
"""Length of the packed questions."""
DECODER_TOKENS = 56
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
    """One picture (uint8 ``[H, W, 3]``) and its texts, in int64 arrays of a fixed length.

    ``kinds`` has the type of the question, or of the caption, that each segment is.
    """

    image: ImageArray
    question_ids: IntArray
    question_positions: IntArray
    question_segments: IntArray
    decoder_ids: IntArray
    decoder_positions: IntArray
    decoder_segments: IntArray
    labels: IntArray
    kinds: dict[int, str]


def pack_scene(scene: Scene, questions: list[Question], tokenizer: Tokenizer) -> PackedExample:
    """Pack a scene's caption, of every other scene that from top to bottom, and as many of the questions as fit.

    The words that ask for an order carry no loss: they are a prompt, which the model is never to say by itself.
    """
    asked, answered = _Packer(QUESTION_TOKENS), _Packer(DECODER_TOKENS)

    def decode_to(target: list[int], segment: int, prompt: int = 0) -> None:
        answered.add([DECODER_START, *target[:-1]], segment, labels=[IGNORED] * prompt + target[prompt:])

    def target_of(text: str) -> list[int]:
        return tokenizer.encode(text).ids[1:]  # without [CLS], with the closing [SEP]

    if scene.index % 2:
        prompt = len(tokenizer.encode(FROM_THE_TOP, add_special_tokens=False).ids)
        decode_to(target_of(caption_from_the_top(scene)), CAPTION_SEGMENT, prompt)
    else:
        decode_to(target_of(caption(scene)), CAPTION_SEGMENT)
    kinds: dict[int, str] = {}
    for question in questions:
        ids, target = tokenizer.encode(question.text).ids, target_of(question.answer)
        if asked.fits(len(ids)) and answered.fits(len(target)):
            segment = len(kinds)
            asked.add(ids, segment)
            decode_to(target, segment)
            kinds[segment] = question.kind
    kinds[CAPTION_SEGMENT] = "caption from the top" if scene.index % 2 else "caption"
    question_arrays, decoder_arrays = asked.arrays(), answered.arrays()
    return PackedExample(render(scene), *question_arrays[:3], *decoder_arrays, kinds)


def packed_example(split: Split, index: int, tokenizer: Tokenizer, max_objects: int) -> PackedExample:
    """The example number ``index`` of a split: its scene, and the questions about it."""
    scene = sample_scene(split, index, max_objects)
    questions = sample_questions(scene, scene_rng(split, index, 1), QUESTIONS)
    return pack_scene(scene, questions, tokenizer)
