"""The likeliest tokens of each row, after logits processors, in upstream's order."""

from __future__ import annotations

import numpy as np

from blipvino.arrays import FloatArray, IntArray
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.token_scores import Scores


def likeliest(
    scores: Scores, seen: IntArray, new_tokens: int, count: int, eos_token_id: int, options: GenerationOptions
) -> tuple[IntArray, FloatArray]:
    """The ``count`` likeliest tokens of each row after processing, and their log-probabilities, both ``[R, count]``.

    Log-probabilities are taken before the processors, as upstream's beam search does; their order is the logits'.
    """
    suppressed = new_tokens < options.min_new_tokens
    if options.repetition_penalty == 1.0 and scores.top_ids.shape[1] >= count + suppressed:
        log_probs = scores.top_logits - scores.log_normalizer
        if not suppressed:
            return scores.top_ids[:, :count], log_probs[:, :count]
        order = np.argsort(scores.top_ids == eos_token_id, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores.top_ids, order, axis=1), np.take_along_axis(log_probs, order, axis=1)
    log_probs = scores.logits()
    if options.num_beams > 1:
        log_probs = log_probs - scores.log_normalizer
    log_probs = processed(log_probs, seen, new_tokens, eos_token_id, options)
    top = largest(log_probs, min(count, log_probs.shape[1]))
    return top, np.take_along_axis(log_probs, top, axis=1)


def processed(
    scores: FloatArray, sequences: IntArray, new_tokens: int, eos_token_id: int, options: GenerationOptions
) -> FloatArray:
    """Scores after repetition penalty and minimum length, in upstream's order."""
    scores = scores.copy()
    if options.repetition_penalty != 1.0:
        seen = np.take_along_axis(scores, sequences, axis=1)
        penalty = np.float32(options.repetition_penalty)
        np.put_along_axis(scores, sequences, np.where(seen < 0, seen * penalty, seen / penalty), axis=1)
    if new_tokens < options.min_new_tokens:
        scores[:, eos_token_id] = -np.inf
    return scores


def largest(scores: FloatArray, count: int) -> IntArray:
    """Indices of the ``count`` largest of each row, largest first."""
    part = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    part.sort(axis=1)  # ties go to the lower index
    order = np.argsort(-np.take_along_axis(scores, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)
