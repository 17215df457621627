"""VQA accuracy (Antol et al., "VQA: Visual Question Answering", 2015, section 3, and visualqa.org/evaluation)."""

from __future__ import annotations

from collections.abc import Sequence


def vqa_accuracy(answer: str, annotators: Sequence[str]) -> float:
    """Agreement of an answer with the annotators of its question, from 0 to 1.

    The mean over all subsets that leave one annotator out of ``min(matches / 3, 1)``; with fewer than four annotators
    (a data set with one truth), whether any of them gave the answer. Case and surrounding space do not count.
    """
    said = _normal(answer)
    given = [_normal(other) for other in annotators]
    if len(given) < 4:
        return float(said in given)
    matches = given.count(said)
    scores = [min((matches - (other == said)) / 3, 1.0) for other in given]
    return sum(scores) / len(scores)


def _normal(answer: str) -> str:
    return answer.strip().lower()
