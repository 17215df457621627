"""VQA accuracy (Antol et al., "VQA: Visual Question Answering", 2015, section 3), as the official tool computes it.

Upstream: ``PythonEvaluationTools/vqaEvaluation/vqaEval.py`` of https://github.com/GT-Vision-Lab/VQA at a013f00, its
oddities included: scores are to be those that others report.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

FEW_ANNOTATORS = 4
"""With fewer answers than this, a data set does not follow VQA's protocol of ten."""

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_MOST_PERIODS = 32
"""Upstream hands ``re.UNICODE`` to the parameter that limits how many are replaced; its value is 32."""
_ARTICLES = frozenset(("a", "an", "the"))
_NUMBER_WORDS = "zero one two three four five six seven eight nine ten"
_NUMBERS = {"none": "0"} | {word: str(number) for number, word in enumerate(_NUMBER_WORDS.split())}
_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
_CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in _CONTRACTED.split()
    for place in range(len(word))
    if word[place] == "'"
} | {"somebody'd": "somebodyd"}
"""Words that lack one apostrophe, with what they become. The last is upstream's slip."""


def vqa_accuracy(answer: str, annotators: Sequence[str]) -> float:
    """Agreement of an answer with the annotators of its question, from 0 to 1.

    The mean over all subsets that leave one annotator out of ``min(matches / 3, 1)``. As upstream does it, answers are
    normalised only where the annotators differ among themselves, and compared letter by letter where they do not:
    unanimous answers may be text that is read in the image.

    With fewer than `FEW_ANNOTATORS` (a data set with one truth), it is whether any of them gave the answer, all
    normalised.
    """
    said, given = _one_line(answer), [_one_line(other) for other in annotators]
    if len(given) < FEW_ANNOTATORS:
        return float(_bare(said) in map(_bare, given))
    if len(set(given)) > 1:
        said, given = normalize_answer(said), [normalize_answer(other) for other in given]
    matches, count = given.count(said), len(given)
    # Leaving out one of the annotators who agree takes a match away; leaving out any other does not.
    total = matches * min((matches - 1) / 3, 1) + (count - matches) * min(matches / 3, 1)
    return total / count


def normalize_answer(answer: str) -> str:
    """An answer in lower case, without punctuation and articles, with digits for numbers and apostrophes put back."""
    words = (_NUMBERS.get(word, word) for word in _without_punctuation(answer).lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _one_line(answer: str) -> str:
    return answer.replace("\n", " ").replace("\t", " ").strip()


def _bare(answer: str) -> str:
    """The normalised answer; the answer itself where nothing is left of it, as of "the"."""
    return normalize_answer(answer) or answer.lower()


def _without_punctuation(answer: str) -> str:
    """Punctuation goes, leaving a space where it stood between two words; so do periods but for decimal points."""
    has_comma_in_number = _COMMA_IN_NUMBER.search(answer) is not None
    kept = answer
    for mark in _PUNCTUATION:
        beside_space = f"{mark} " in answer or f" {mark}" in answer
        kept = kept.replace(mark, "" if beside_space or has_comma_in_number else " ")
    return _PERIOD.sub("", kept, count=_MOST_PERIODS)
