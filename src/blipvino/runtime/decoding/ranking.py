"""Choosing from a list of answers the one that the decoder finds likeliest, as BLIP's paper evaluates VQA.

The paper (Li et al., "BLIP: Bootstrapping Language-Image Pre-training for Unified Vision-Language Understanding and
Generation", 2022, section 5.3) follows ALBEF (Li et al., 2021): 3,128 frequent answers of VQAv2 are ranked.

Upstream: ``BLIP_VQA.rank_answer`` (``models/blip_vqa.py`` of https://github.com/salesforce/BLIP): the k answers whose
first token is likeliest are then compared by the sum of the log-probabilities of all their tokens, the closing one
included. One difference is deliberate: upstream compares by its training loss, whose label smoothing of 0.1 adds to
every token a term that has nothing to do with the answer; here it is the likelihood itself, as in transformers, where
``label_smoothing`` is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from blipvino.arrays import DoubleArray, IntArray
from blipvino.checks import shown
from blipvino.errors import InputError
from blipvino.runtime.decoding.steps import Branching
from blipvino.runtime.inputs.texts import TextProcessor, listed_texts

DEFAULT_TOP_K = 128
"""Upstream's ``k_test``."""
ANSWERS_PER_STEP = 256
"""Answers that are scored side by side; more would take memory for logits and gain no speed."""


@dataclass(frozen=True)
class Ranking:
    """Answers from the likeliest to the least likely.

    Attributes:
        answers: the texts.
        log_likelihoods: the logarithms of their probabilities among all that the model could say.
        confidence: the probability that the likeliest is right; see `Generated`.
        calibrated: whether it was fitted on labelled samples.
    """

    answers: tuple[str, ...]
    log_likelihoods: tuple[float, ...]
    confidence: float
    calibrated: bool = False

    @property
    def answer(self) -> str:
        """The likeliest."""
        return self.answers[0]


class AnswerList:
    """Answers to choose from, as a tree of tokens: what several begin with is decoded once.

    Its arrays are read-only.

    Args:
        texts: the answers, in any sequence or iterator.
        processor: `Blip.texts` of the model that ranks them.

    Raises:
        InputError: there are none, or one is not text, is blank or is too long.
    """

    def __init__(self, texts: Iterable[str], processor: TextProcessor) -> None:
        if not isinstance(processor, TextProcessor):
            raise InputError(f"processor is {shown(processor)}, expected the model's texts: AnswerList(…, blip.texts)")
        listed = listed_texts("answers", texts)
        if not listed:
            raise InputError("answers to choose from are an empty list, expected one or more texts")
        encoded = [processor.answer(text) for text in listed]
        self.texts = tuple(map(str, listed))
        self.lengths = np.array([len(tokens) for tokens in encoded])
        self.tokens = np.zeros((len(encoded), self.lengths.max()), np.int64)
        # The number of each answer's first 0, 1, 2, … tokens, alike for those that begin alike.
        self.prefixes = np.zeros_like(self.tokens)
        numbers: dict[tuple[int, ...], int] = {}
        for row, tokens in enumerate(encoded):
            self.tokens[row, : len(tokens)] = tokens
            for length in range(1, len(tokens)):
                self.prefixes[row, length] = numbers.setdefault(tuple(tokens[:length]), len(numbers) + 1)
        for array in (self.lengths, self.tokens, self.prefixes):
            array.flags.writeable = False


def rank(decoder: Branching, start: list[int], answers: AnswerList, top_k: int | None) -> Ranking:
    """Rank answers by their likelihood as the texts that follow a prompt.

    Args:
        decoder: over one question, at its start.
        start: token ids of the prompt.
        answers: to choose from.
        top_k: answers whose first token is likeliest, which alone are ranked; None ranks all.
    """
    prompt, root = np.array([start], np.int64), np.zeros(1, np.int64)
    decoder.step(prompt, root)
    scores = decoder.log_probs(np.zeros(len(answers.texts), np.int64), answers.tokens[:, 0]).astype(np.float64)
    kept = np.argsort(-scores, kind="stable")[:top_k]
    kept = kept[np.argsort(answers.tokens[kept, 0], kind="stable")]  # those that begin alike side by side
    for first in range(0, len(kept), ANSWERS_PER_STEP):
        if first:
            decoder.restart()
            decoder.step(prompt, root)
        part = kept[first : first + ANSWERS_PER_STEP]
        scores[part] += _after_first_token(decoder, answers, part)
    order = kept[np.lexsort((kept, -scores[kept]))]  # of equals, the earlier in the list
    likelihoods = tuple(scores[order].tolist())
    return Ranking(tuple(answers.texts[place] for place in order), likelihoods, math.exp(min(0.0, likelihoods[0])))


def _after_first_token(decoder: Branching, answers: AnswerList, chosen: IntArray) -> DoubleArray:
    """Log-likelihoods of what follows the first token of some answers; the decoder has seen the prompt."""
    scores = np.zeros(len(chosen))
    known = np.zeros(1, np.int64)
    for place in range(1, answers.tokens.shape[1]):
        longer = np.flatnonzero(answers.lengths[chosen] > place)
        if not longer.size:
            break
        going = chosen[longer]
        prefixes, examples, rows = np.unique(answers.prefixes[going, place], return_index=True, return_inverse=True)
        parents = np.searchsorted(known, answers.prefixes[going[examples], place - 1])
        decoder.step(answers.tokens[going[examples], place - 1][:, None], parents)
        scores[longer] += decoder.log_probs(rows, answers.tokens[going, place])
        known = prefixes
    return scores
