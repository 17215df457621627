"""Scores of what models say, with intervals: accuracy by type of question, agreement, caption metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from blipvino.arrays import DoubleArray
from blipvino.data import Question
from blipvino.measure.evaluation.evaluation import AnswerExample, AnswerScore, CaptionExample, CaptionScore
from blipvino.measure.evaluation.result_files import Texts
from blipvino.measure.evaluation.selection import Assignment
from blipvino.metrics.bootstrap import Estimate, estimate, resampled_sums
from blipvino.metrics.caption_metrics import CAPTION_METRICS, STATISTICS, ReferenceCaptions
from blipvino.metrics.tokenization import tokenize_caption
from blipvino.metrics.vqa import vqa_accuracy

Kind = Literal["all", "answer type", "question type"]

_COLUMNS = 5
_ASKED, _SAME, _KNOWN, _ORIGINAL, _COMPRESSED = range(_COLUMNS)
"""Sums over an image's questions: how many, answered alike, with known answers, and both accuracies."""


def score_answers(
    assignments: Sequence[Assignment], original: Texts | None, compressed: Texts, seed: int
) -> tuple[AnswerScore, ...]:
    """Accuracy and agreement over all questions, each answer type and each question type.

    Args:
        assignments: what was asked.
        original: what the original says, if there is one.
        compressed: what the model says.
        seed: of the bootstrap.
    """
    asked = [one for one in assignments if one.sample.questions]
    if not asked:
        return ()
    groups = _groups(question for one in asked for question in one.sample.questions)
    sums = np.zeros((len(asked), len(groups), _COLUMNS))
    for image, one in enumerate(asked):
        for question in one.sample.questions:
            row = _question_row(question, original, compressed)
            for group in _groups_of(question):
                sums[image, groups[group]] += row
    resampled = resampled_sums(sums.reshape(len(asked), -1), seed).reshape(-1, len(groups), _COLUMNS)
    return tuple(
        _answer_score(group, sums[:, place], resampled[:, place], original is not None)
        for group, place in groups.items()
    )


def _groups_of(question: Question) -> Iterator[tuple[Kind, str]]:
    yield "all", "all"
    if question.answer_type:
        yield "answer type", question.answer_type
    if question.question_type:
        yield "question type", question.question_type


def _groups(questions: Iterable[Question]) -> dict[tuple[Kind, str], int]:
    """The groups, with their places in the order in which they are shown."""
    found = {group for question in questions for group in _groups_of(question)}
    kinds: tuple[Kind, ...] = ("all", "answer type", "question type")
    return {group: place for place, group in enumerate(sorted(found, key=lambda g: (kinds.index(g[0]), g[1])))}


def _question_row(question: Question, original: Texts | None, compressed: Texts) -> list[float]:
    said = compressed.answers[question.question_id]
    before = None if original is None else original.answers[question.question_id]
    accuracies = [_accuracy(answer, question) or 0.0 for answer in (before, said)]
    return [1, float(said == before), float(bool(question.answers)), *accuracies]


def _accuracy(answer: str | None, question: Question) -> float | None:
    return vqa_accuracy(answer, question.answers) if answer is not None and question.answers else None


def _answer_score(group: tuple[Kind, str], sums: DoubleArray, resampled: DoubleArray, beside: bool) -> AnswerScore:
    totals = sums.sum(axis=0)
    known = bool(totals[_KNOWN])

    def share(column: int, of: int) -> Estimate:
        return estimate(lambda s: s[..., column] / s[..., of], sums, resampled)

    def drop(s: DoubleArray) -> DoubleArray:
        return (s[..., _ORIGINAL] - s[..., _COMPRESSED]) / s[..., _KNOWN]

    return AnswerScore(
        kind=group[0],
        name=group[1],
        questions=int(totals[_ASKED]),
        images=int(np.count_nonzero(sums[:, _ASKED])),
        original=share(_ORIGINAL, _KNOWN) if known and beside else None,
        compressed=share(_COMPRESSED, _KNOWN) if known else None,
        drop=estimate(drop, sums, resampled) if known and beside else None,
        agreement=share(_SAME, _ASKED) if beside else None,
    )


@dataclass(frozen=True)
class CaptionScores:
    """Scores of captions; ``metrics`` is empty without reference captions, ``agreement`` None without an original."""

    metrics: tuple[CaptionScore, ...]
    agreement: Estimate | None


def score_captions(
    assignments: Sequence[Assignment], original: Texts | None, compressed: Texts, seed: int
) -> CaptionScores:
    """Every metric over the captioned images that have references, and agreement over all captioned images."""
    captioned = [one.sample for one in assignments if one.captioned]
    agreement = None
    if captioned and original is not None:
        same = [original.captions[s.image_id] == compressed.captions[s.image_id] for s in captioned]
        rows = np.stack([np.array(same, np.float64), np.ones(len(same))], axis=1)
        agreement = estimate(lambda s: s[..., 0] / s[..., 1], rows, resampled_sums(rows, seed))
    known = [sample for sample in captioned if sample.captions]
    if not known:
        return CaptionScores((), agreement)
    references = ReferenceCaptions([[tokenize_caption(text) for text in sample.captions] for sample in known])
    models = [compressed] if original is None else [compressed, original]
    rows = np.concatenate(
        [references.statistics([tokenize_caption(texts.captions[s.image_id]) for s in known]) for texts in models],
        axis=1,
    )
    resampled = resampled_sums(rows, seed)
    metrics = tuple(_caption_score(name, rows, resampled, original is not None) for name in CAPTION_METRICS)
    return CaptionScores(metrics, agreement)


def _caption_score(name: str, rows: DoubleArray, resampled: DoubleArray, beside: bool) -> CaptionScore:
    """Of statistics of the compressed model's captions, followed by the original's where it has one beside it."""
    metric = CAPTION_METRICS[name]

    def of(figure: Callable[[DoubleArray], DoubleArray]) -> Estimate:
        return estimate(figure, rows, resampled)

    compressed = of(lambda s: metric(s[..., :STATISTICS]))
    if not beside:
        return CaptionScore(name, None, compressed, None)
    drop = of(lambda s: metric(s[..., STATISTICS:]) - metric(s[..., :STATISTICS]))
    return CaptionScore(name, of(lambda s: metric(s[..., STATISTICS:])), compressed, drop)


def answer_examples(
    assignments: Sequence[Assignment], original: Texts | None, compressed: Texts, count: int
) -> tuple[AnswerExample, ...]:
    """Answers to look at, those first on which the models differ: of these, the ones that cost most accuracy first."""
    examples = [
        _answer_example(one.sample.image_id, question, original, compressed)
        for one in assignments
        for question in one.sample.questions
    ]
    return tuple(sorted(examples, key=lambda example: (not example.differs, -_cost(example)))[:count])


def _cost(example: AnswerExample) -> float:
    if not example.differs:
        return 0.0  # these stay in the order of the samples
    return (example.original_accuracy or 0.0) - (example.compressed_accuracy or 0.0)


def _answer_example(
    image_id: int | str, question: Question, original: Texts | None, compressed: Texts
) -> AnswerExample:
    said = compressed.answers[question.question_id]
    before = None if original is None else original.answers[question.question_id]
    return AnswerExample(
        image_id=image_id,
        question_id=question.question_id,
        question=question.text,
        truth=question.answers,
        original=before,
        compressed=said,
        original_accuracy=_accuracy(before, question),
        compressed_accuracy=_accuracy(said, question),
    )


def caption_examples(
    assignments: Sequence[Assignment], original: Texts | None, compressed: Texts, count: int
) -> tuple[CaptionExample, ...]:
    """Captions to look at, those first on which the models differ."""
    examples = [
        CaptionExample(
            image_id=one.sample.image_id,
            truth=one.sample.captions,
            original=None if original is None else original.captions[one.sample.image_id],
            compressed=compressed.captions[one.sample.image_id],
        )
        for one in assignments
        if one.captioned
    ]
    return tuple(sorted(examples, key=lambda example: not example.differs)[:count])
