"""Scores of confidence, with intervals: calibration error, and accuracy of the surest texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blipvino.arrays import DoubleArray, IntArray
from blipvino.bundle.records import ConfidenceRecord
from blipvino.measure.evaluation.predictions import TextScore
from blipvino.measure.evaluation.reliability_scores import Coverage, Reliability, ReliabilityBin
from blipvino.measure.evaluation.result_files import Texts
from blipvino.measure.evaluation.selection import Assignment
from blipvino.metrics.bootstrap import Estimate, estimate, resampled_sums
from blipvino.metrics.reliability import (
    BINS,
    COVERAGES,
    area_under_risk,
    bin_statistics,
    border_of,
    calibration_error,
    kept_weights,
)
from blipvino.metrics.right_captions import caption_rule, describe_rule, right_captions
from blipvino.metrics.vqa import vqa_accuracy
from blipvino.runtime.results import Confidence, Kind


def score_reliability(
    assignments: Sequence[Assignment], texts: Texts, record: ConfidenceRecord | None, source: str, seed: int
) -> tuple[Reliability, ...]:
    """Scores of answers and of captions; of neither where nothing is known of what is right, or of probabilities.

    Args:
        assignments: what was asked and captioned.
        texts: what the bundle says.
        record: what was fitted of its confidence.
        source: name of the samples, which decides when a caption is right where nothing was fitted.
        seed: of the bootstrap.
    """
    fitted = record or ConfidenceRecord()
    rule = caption_rule(source, "auto") if fitted.captions is None else fitted.captions.least_cider
    scored = (
        _reliability("answers", "VQA accuracy", Confidence(fitted.answers), _answers(assignments, texts), seed),
        _reliability(
            "captions", describe_rule(rule), Confidence(fitted.captions), _captions(assignments, texts, rule), seed
        ),
    )
    return tuple(one for one in scored if one is not None)


@dataclass(frozen=True)
class _Judged:
    """Texts, each with the number of the image that it is about and how right it is, from 0 to 1; ``[N]`` each."""

    scores: Sequence[TextScore]
    images: IntArray
    right: DoubleArray


def _answers(assignments: Sequence[Assignment], texts: Texts) -> _Judged:
    rows = [
        (image, question.question_id, vqa_accuracy(texts.answers[question.question_id], question.answers))
        for image, one in enumerate(assignments)
        for question in one.sample.questions
        if question.answers and question.question_id in texts.answer_scores
    ]
    return _collected(rows, texts.answer_scores)


def _captions(assignments: Sequence[Assignment], texts: Texts, rule: float | None) -> _Judged:
    known = [
        (image, one.sample)
        for image, one in enumerate(assignments)
        if one.captioned and one.sample.captions and one.sample.image_id in texts.caption_scores
    ]
    said = [texts.captions[sample.image_id] for _, sample in known]
    right = right_captions(said, [sample.captions for _, sample in known], rule)
    rows = [(image, sample.image_id, float(score)) for (image, sample), score in zip(known, right, strict=True)]
    return _collected(rows, texts.caption_scores)


def _collected(rows: Sequence[tuple[int, Any, float]], scores: Mapping[Any, TextScore]) -> _Judged:
    """Texts as (image, key, how right), with what is known of their probabilities by their keys."""
    images = np.array([image for image, _, _ in rows], np.int64)
    return _Judged([scores[key] for _, key, _ in rows], images, np.array([right for _, _, right in rows]))


def _reliability(kind: Kind, rule: str, confidence: Confidence, judged: _Judged, seed: int) -> Reliability | None:
    if not judged.scores:
        return None
    sure, raw = (_confidences(each, judged.scores) for each in (confidence, Confidence(None)))
    right = judged.right
    coverages = tuple(_coverage(sure, share, judged, seed) for share in COVERAGES)
    return Reliability(
        kind=kind,
        rule=rule,
        texts=len(right),
        right=coverages[0].right,
        calibrated=confidence.calibrated,
        error=_estimate(calibration_error, bin_statistics(sure, right), judged, seed),
        raw_error=_estimate(calibration_error, bin_statistics(raw, right), judged, seed),
        area=area_under_risk(sure, right),
        coverages=coverages,
        bins=tuple(_bins(bin_statistics(sure, right).sum(axis=0))),
    )


def _confidences(confidence: Confidence, scores: Sequence[TextScore]) -> DoubleArray:
    return np.array([confidence.of(score.logprob, cut_off=score.cut_off) for score in scores])


def _coverage(sure: DoubleArray, share: float, judged: _Judged, seed: int) -> Coverage:
    weights = kept_weights(sure, share)
    rows = np.stack([weights * judged.right, weights], axis=1)
    return Coverage(share, border_of(sure, share), _estimate(lambda s: s[..., 0] / s[..., 1], rows, judged, seed))


def _estimate(figure: Callable[[DoubleArray], DoubleArray], rows: DoubleArray, judged: _Judged, seed: int) -> Estimate:
    """A figure of sums of rows, one a text; images are drawn."""
    _, places = np.unique(judged.images, return_inverse=True)
    sums = np.zeros((places.max() + 1, rows.shape[1]))
    np.add.at(sums, places, rows)
    return estimate(figure, sums, resampled_sums(sums, seed))


def _bins(sums: DoubleArray) -> Iterator[ReliabilityBin]:
    for texts, sure, right in sums.reshape(BINS, 3):
        if texts:
            yield ReliabilityBin(int(texts), float(sure / texts), float(right / texts))
