"""Scores of what models find and how they judge, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from blipvino.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from blipvino.measure.recall.judging import Judged, judged_right
from blipvino.measure.recall.retrieval_evaluation import Direction, FirstAgreement, MatchingScore, RecallScore
from blipvino.measure.recall.text_gallery import TextGallery
from blipvino.metrics.bootstrap import Estimate, estimate, resampled_sums
from blipvino.metrics.recall import RECALL_AT, ranks

DIRECTIONS: tuple[Direction, ...] = ("text to image", "image to text")


def recall_scores(
    gallery: TextGallery, original: Judged | None, compressed: Judged, seed: int
) -> tuple[RecallScore, ...]:
    """Recall in both directions, by similarity and re-ranked."""
    return tuple(
        score
        for direction in DIRECTIONS
        for reranked in (False, True)
        for score in _recall(gallery, original, compressed, direction, reranked, seed)
    )


def _recall(
    gallery: TextGallery, original: Judged | None, compressed: Judged, direction: Direction, reranked: bool, seed: int
) -> Iterator[RecallScore]:
    models = [compressed] if original is None else [compressed, original]
    places = [_places(gallery, model, direction, reranked) for model in models]
    asked = _asked(gallery, direction)
    for k in RECALL_AT:
        found = [_by_image(place < k, asked, len(gallery.samples)) for place in places]
        after, before, drop = _compared(found, np.bincount(asked, minlength=len(gallery.samples)), seed)
        yield RecallScore(direction, reranked, k, before, after, drop)


def first_agreement(
    gallery: TextGallery, original: Judged | None, compressed: Judged, seed: int
) -> tuple[FirstAgreement, ...]:
    """How often both find the same first; nothing without an original."""
    if original is None:
        return ()
    found = []
    for direction in DIRECTIONS:
        asked = _asked(gallery, direction)
        count = np.bincount(asked, minlength=len(gallery.samples))
        for reranked in (False, True):
            firsts = [_scores(model, direction, reranked).argmax(axis=1) for model in (original, compressed)]
            same = _by_image(firsts[0] == firsts[1], asked, len(gallery.samples))
            found.append(FirstAgreement(direction, reranked, _compared([same], count, seed)[0]))
    return tuple(found)


def matching_scores(
    gallery: TextGallery, original: Judged | None, compressed: Judged, seed: int
) -> tuple[MatchingScore, ...]:
    """Claims that are judged rightly, all and by kind."""
    kinds = sorted({claim.kind for claims in gallery.claims for claim in claims})
    scores = []
    for kind in ("all", *kinds):
        chosen = [np.array([kind in ("all", claim.kind) for claim in claims], bool) for claims in gallery.claims]
        count = _sums(chosen, chosen)
        models = [compressed] if original is None else [compressed, original]
        right = [_sums(judged_right(model.claims, gallery), chosen) for model in models]
        after, before, drop = _compared(right, count, seed)
        same = None
        if original is not None:
            alike = [one == other for one, other in zip(original.claims, compressed.claims, strict=True)]
            same = _compared([_sums(alike, chosen)], count, seed)[0]
        scores.append(MatchingScore(kind, int(count.sum()), before, after, drop, same))
    return tuple(scores)


def _scores(model: Judged, direction: Direction, reranked: bool) -> FloatArray:
    """Of every text or image, those of all images or texts."""
    if direction == "text to image":
        return model.images_reranked if reranked else model.similarity.T
    return model.texts_reranked if reranked else model.similarity


def _places(gallery: TextGallery, model: Judged, direction: Direction, reranked: bool) -> IntArray:
    """Where the right one stands in what each text or image finds; of several texts of an image the best one."""
    scores, owners = _scores(model, direction, reranked), gallery.owners
    if direction == "text to image":
        return ranks(scores, owners)
    own = np.where(owners == np.arange(len(scores))[:, None], scores, -np.inf)
    return ranks(scores, own.argmax(axis=1))


def _asked(gallery: TextGallery, direction: Direction) -> IntArray:
    """The image that each query is of."""
    return gallery.owners if direction == "text to image" else np.arange(len(gallery.samples))


def _by_image(hits: BoolArray, asked: IntArray, images: int) -> DoubleArray:
    return np.bincount(asked, weights=hits.astype(np.float64), minlength=images).astype(np.float64)


def _sums(values: Sequence[BoolArray], chosen: Sequence[BoolArray]) -> DoubleArray:
    """Of each image, how many of the chosen values are true."""
    return np.array([np.count_nonzero(row & mask) for row, mask in zip(values, chosen, strict=True)], np.float64)


def _compared(
    counts: Sequence[DoubleArray], of: DoubleArray | IntArray, seed: int
) -> tuple[Estimate, Estimate | None, Estimate | None]:
    """The share of the bundle, of the original, and how much less it is; the last two where there is an original.

    Args:
        counts: of the bundle and, if there is one, of the original: hits by image.
        of: of how many, by image.
        seed: of the bootstrap.
    """
    rows = np.stack([of, *counts], axis=1).astype(np.float64)
    resampled = resampled_sums(rows, seed)
    after = estimate(lambda s: s[..., 1] / s[..., 0], rows, resampled)
    if len(counts) == 1:
        return after, None, None
    before = estimate(lambda s: s[..., 2] / s[..., 0], rows, resampled)
    return after, before, estimate(lambda s: (s[..., 2] - s[..., 1]) / s[..., 0], rows, resampled)
