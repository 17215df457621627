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


def question_batches(images: Sequence[ImageFeatures], most_images: int) -> Iterator[QuestionBatch]:
    """Questions in batches, which are as large as pays; those about one image are never parted.

    The graph takes as many about each image, so fewer are filled up with one of them again, and images that are
    asked about as often as one another go together.

    Args:
        images: that each question is about.
        most_images: of a batch.
    """
    rows: dict[ImageFeatures, list[int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(image, []).append(row)
    left = sorted(rows, key=lambda image: -len(rows[image]))
    while left:
        most = len(rows[left[0]])
        together = min(most_images, ROWS_TOGETHER // most, len(left))
        together = together if together >= LEAST_TOGETHER else 1
        batch, left = left[:together], left[together:]
        yield QuestionBatch(batch, [_filled(rows[image], most) for image in batch])


def question_states(
    extractor: FeatureExtractor,
    images: Sequence[ImageFeatures],
    questions: TokenBatch,
    turn: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> FloatArray:
    """States ``[R, T, D]`` of questions. Whoever calls it holds the engine's lock, or gets it with each turn.

    Args:
        extractor: that made the images' features; the engine is its.
        images: that each question is about.
        questions: their tokens.
        turn: entered for each inference.
    """
    read: list[tuple[IntArray, FloatArray]] = []
    with turn():
        most_images = images_together(extractor.question_kv(images[0]))
    for batch in question_batches(images, most_images):
        rows = np.concatenate([np.asarray(places) for places in batch.rows])
        with turn():
            kv = _keys_and_values(extractor, batch.images)
            made = extractor.engine.question_states(questions.input_ids[rows], questions.attention_mask[rows], kv)
        read.append((rows, made))
    states = np.empty((*questions.input_ids.shape, read[0][1].shape[-1]), np.float32)
    for rows, made in read:
        states[rows] = made
    return states


def _keys_and_values(extractor: FeatureExtractor, images: Sequence[ImageFeatures]) -> CrossKV:
    made = [extractor.question_kv(image) for image in images]
    return made[0] if len(made) == 1 else CrossKV.side_by_side(made, extractor.engine.question_arena)


def _filled(rows: list[int], count: int) -> list[int]:
    """So many rows, the last of them over and over."""
    return rows + rows[-1:] * (count - len(rows))
