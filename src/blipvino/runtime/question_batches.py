"""Questions about several images, read side by side: what reads them loads its weights once for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from blipvino.arrays import FloatArray, IntArray
from blipvino.runtime.decoding.cross_kv import CrossKV
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TokenBatch

IMAGES_TOGETHER = 8
"""Their keys and values are copied side by side: of more, that takes more time and memory than it saves."""
LEAST_TOGETHER = 3
"""Fewer are read one after the other by a graph that knows how many they are, which takes as long."""
ROWS_TOGETHER = 16
"""Of several images; from about so many rows on, arithmetic and not weights is what costs time."""
INFERENCE_TOKENS = 18
"""What one more inference costs before it computes anything, in tokens of arithmetic: so much padding is as bad."""


@dataclass(frozen=True)
class QuestionBatch:
    """Questions that are read by one inference.

    Attributes:
        images: that they are about.
        rows: of each image its questions' places among all, as many as of each other.
    """

    images: Sequence[ImageFeatures]
    rows: Sequence[Sequence[int]]


def images_together(kv: CrossKV) -> int:
    """Images that questions are read about at a time, by their keys and values.

    Where they are no integers, 8-bit kernels do not compute with them: then arithmetic is what costs time, and four
    times as much would be copied.
    """
    return IMAGES_TOGETHER if kv.itemsize == 1 else 1


def question_batches(
    images: Sequence[ImageFeatures], lengths: Sequence[int], most_images: int
) -> Iterator[QuestionBatch]:
    """Questions in batches, which are as large as pays.

    The graph takes as many about each image, so fewer are filled up with one of them again, and images that are
    asked about as often as one another go together. Questions about one image are read by it alone where they are
    many; then the short ones are not padded to the longest, if that takes longer than to read them apart.

    Args:
        images: that each question is about.
        lengths: of the questions, as the graph has them padded.
        most_images: of a batch.
    """
    rows: dict[ImageFeatures, list[int]] = {}
    for row in sorted(range(len(images)), key=lambda row: -lengths[row]):
        rows.setdefault(images[row], []).append(row)
    left = sorted(rows, key=lambda image: -len(rows[image]))
    while left:
        most = len(rows[left[0]])
        together = min(most_images, ROWS_TOGETHER // most, len(left))
        together = together if together >= LEAST_TOGETHER else 1
        batch, left = left[:together], left[together:]
        if together > 1:
            yield QuestionBatch(batch, [_filled(rows[image], most) for image in batch])
        else:
            yield from (QuestionBatch(batch, [some]) for some in _by_length(rows[batch[0]], lengths))


def question_states(
    extractor: FeatureExtractor,
    images: Sequence[ImageFeatures],
    questions: TokenBatch,
    turn: Callable[[], AbstractContextManager[object]] = nullcontext,
    *,
    with_padding: bool = False,
) -> FloatArray:
    """States ``[R, T, D]`` of questions. Whoever calls it holds the engine's lock, or gets it with each turn.

    Args:
        extractor: that made the images' features; the engine is its.
        images: that each question is about.
        questions: their tokens.
        turn: entered for each inference.
        with_padding: whether states of padding are wanted too; otherwise some of them are zeros.
    """
    read: list[tuple[IntArray, FloatArray]] = []
    with turn():
        most_images = images_together(extractor.question_kv(images[0]))
    rows, width = questions.input_ids.shape
    lengths = np.full(rows, width) if with_padding else width - questions.attention_mask[:, ::-1].argmax(axis=1)
    padded = [extractor.engine.text_length(int(length), rows) for length in lengths]
    for batch in question_batches(images, padded, most_images):
        places = np.concatenate([np.asarray(some) for some in batch.rows])
        longest = int(lengths[places].max())
        ids, mask = questions.input_ids[places, :longest], questions.attention_mask[places, :longest]
        with turn():
            made = extractor.engine.question_states(ids, mask, _keys_and_values(extractor, batch.images))
        read.append((places, made))
    states = np.zeros((rows, width, read[0][1].shape[-1]), np.float32)
    for places, made in read:
        states[places, : made.shape[1]] = made
    return states


def _keys_and_values(extractor: FeatureExtractor, images: Sequence[ImageFeatures]) -> CrossKV:
    made = [extractor.question_kv(image) for image in images]
    return made[0] if len(made) == 1 else CrossKV.side_by_side(made, extractor.engine.question_arena)


def _filled(rows: list[int], count: int) -> list[int]:
    """So many rows, the last of them over and over."""
    return rows + rows[-1:] * (count - len(rows))


def _by_length(rows: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Questions about one image, the longest first, in groups; none is left alone, which is for other graphs."""
    first = 0
    for place in range(2, len(rows) - 1):
        padding = (len(rows) - place) * (lengths[rows[first]] - lengths[rows[place]])
        if place - first >= 2 and padding > INFERENCE_TOKENS:
            yield list(rows[first:place])
            first = place
    yield list(rows[first:])
