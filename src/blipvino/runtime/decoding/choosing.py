"""The likeliest tokens of each row, after logits processors, in upstream's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blipvino.arrays import FloatArray, IntArray
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.token_scores import Scores


@dataclass(frozen=True)
class Candidates:
    """Tokens that each row may go on with, best first, all ``[R, count]``.

    Attributes:
        ids: the tokens.
        scores: what they are chosen by: in beam search log-probabilities after the processors, which is upstream's
            order of doing it; in greedy search logits.
        log_probs: under the model, before any processor.
    """

    ids: IntArray
    scores: FloatArray
    log_probs: FloatArray


def likeliest(
    scores: Scores, seen: IntArray, new_tokens: int, count: int, eos_token_id: int, options: GenerationOptions
) -> Candidates:
    """The ``count`` likeliest tokens of each row after processing.

    Args:
        scores: of the step.
        seen: each row's tokens so far, ``[R, L]``.
        new_tokens: how many of these were generated.
        count: how many tokens.
        eos_token_id: the token that closes a text.
        options: how to choose.
    """
    if options.repetition_penalty == 1.0:
        suppressed = _suppressed(scores.top_ids, seen, new_tokens, eos_token_id, options)
        if scores.top_ids.shape[1] - suppressed.sum(axis=1).max() >= count:  # the named tokens are enough
            ids, logits = _first(scores, suppressed, count)
            log_probs = logits - scores.log_normalizer
            return Candidates(ids, log_probs, log_probs)
    log_probs = scores.logits() - scores.log_normalizer
    # Upstream's greedy search penalizes logits, its beam search log-probabilities.
    unprocessed = log_probs if options.num_beams > 1 else scores.logits()
    judged = processed(unprocessed, seen, new_tokens, eos_token_id, options)
    top = largest(judged, min(count, judged.shape[1]))
    return Candidates(top, np.take_along_axis(judged, top, axis=1), np.take_along_axis(log_probs, top, axis=1))


def processed(
    scores: FloatArray, seen: IntArray, new_tokens: int, eos_token_id: int, options: GenerationOptions
) -> FloatArray:
    """Scores ``[R, vocab]`` after repetition penalty, repeated n-grams and minimum length, in upstream's order."""
    scores = scores.copy()
    if options.repetition_penalty != 1.0:
        present = np.take_along_axis(scores, seen, axis=1)
        penalty = np.float32(options.repetition_penalty)
        np.put_along_axis(scores, seen, np.where(present < 0, present * penalty, present / penalty), axis=1)
    repeating = repeating_tokens(seen, options.no_repeat_ngram_size)
    rows, places = np.nonzero(repeating >= 0)
    scores[rows, repeating[rows, places]] = -np.inf
    if new_tokens < options.min_new_tokens:
        scores[:, eos_token_id] = -np.inf
    return scores


def repeating_tokens(seen: IntArray, size: int) -> IntArray:
    """The tokens that would complete an n-gram that a row has had, as upstream's ``NoRepeatNGramLogitsProcessor`` bans.

    Args:
        seen: each row's tokens so far, ``[R, L]``, those of the prompt among them.
        size: of the n-grams; 0 bans nothing.

    Returns:
        ``[R, M]``; -1 in places where there is none.
    """
    rows, length = seen.shape
    if not size or length < size:
        return np.empty((rows, 0), np.int64)
    ngrams = np.lib.stride_tricks.sliding_window_view(seen, size, axis=1)
    beginning = seen[:, None, length - size + 1 :]
    return np.where((ngrams[..., :-1] == beginning).all(axis=-1), ngrams[..., -1], -1)


def largest(scores: FloatArray, count: int) -> IntArray:
    """Indices of the ``count`` largest of each row, largest first."""
    part = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    part.sort(axis=1)  # ties go to the lower index
    order = np.argsort(-np.take_along_axis(scores, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)


def _first(scores: Scores, suppressed: npt.NDArray[np.bool_], count: int) -> tuple[IntArray, FloatArray]:
    """Ids and logits of the first of the named tokens that are not suppressed, ``[R, count]`` each."""
    if not suppressed.any():
        return scores.top_ids[:, :count], scores.top_logits[:, :count]
    order = np.argsort(suppressed, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(scores.top_ids, order, axis=1), np.take_along_axis(scores.top_logits, order, axis=1)


def _suppressed(
    ids: IntArray, seen: IntArray, new_tokens: int, eos_token_id: int, options: GenerationOptions
) -> npt.NDArray[np.bool_]:
    """Which of some tokens ``[R, K]`` must not come next."""
    suppressed = (ids == eos_token_id) & (new_tokens < options.min_new_tokens)
    repeating = repeating_tokens(seen, options.no_repeat_ngram_size)
    if repeating.shape[1]:
        suppressed |= (ids[:, :, None] == repeating[:, None]).any(axis=-1)
    return suppressed
