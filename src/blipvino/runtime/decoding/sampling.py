"""Greedy search and sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.arrays import FloatArray, IntArray
from blipvino.errors import InputError
from blipvino.runtime.decoding.choosing import likeliest, processed
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.token_scores import Step


def sample(
    step: Step,
    inputs: IntArray,
    rngs: Sequence[np.random.Generator],
    eos_token_id: int,
    options: GenerationOptions,
) -> list[tuple[list[int], list[float]]]:
    """Greedy search and sampling. A row that has closed leaves.

    Returns:
        Of each row its tokens, prompt included, and the log-probabilities of those that were generated; both go on
        after the closing token, with what is to be ignored.
    """
    rows, length = inputs.shape
    sequences = np.concatenate([inputs, np.full((rows, options.max_new_tokens), eos_token_id, np.int64)], axis=1)
    log_probs = np.zeros((rows, options.max_new_tokens), np.float32)
    live = parents = np.arange(rows)
    for new_tokens in range(options.max_new_tokens):
        scores = step(inputs, parents)
        seen = sequences[live, : length + new_tokens]
        if options.do_sample:
            logits = scores.logits()
            judged = processed(logits, seen, new_tokens, eos_token_id, options)
            chosen = np.array([_draw(judged[i], rngs[row], options) for i, row in enumerate(live.tolist())], np.int64)
            drawn = np.take_along_axis(logits, chosen[:, None], axis=1) - scores.log_normalizer
            log_probs[live, new_tokens] = drawn[:, 0]
        else:
            found = likeliest(scores, seen, new_tokens, 1, eos_token_id, options)
            chosen, log_probs[live, new_tokens] = found.ids[:, 0], found.log_probs[:, 0]
        sequences[live, length + new_tokens] = chosen
        parents = np.flatnonzero(chosen != eos_token_id)
        live, inputs = live[parents], chosen[parents, None]
        if not live.size:
            break
    return list(zip(sequences.tolist(), log_probs.tolist(), strict=True))


def _draw(scores: FloatArray, rng: np.random.Generator, options: GenerationOptions) -> int:
    """Draw one token after temperature, top-k and top-p.

    Raises:
        InputError: no token is left to draw.
    """
    if scores.max() == -np.inf:
        raise InputError("no token may come next: all are excluded; raise no_repeat_ngram_size or lower min_new_tokens")
    kept = scores.astype(np.float64) / options.temperature
    if 0 < options.top_k < len(kept):
        kept = np.where(kept < np.partition(kept, -options.top_k)[-options.top_k], -np.inf, kept)
    order = np.argsort(kept, kind="stable")
    probabilities = np.exp(kept[order] - kept[order[-1]])
    probabilities /= probabilities.sum()
    outside = probabilities.cumsum() <= 1 - options.top_p
    outside[-1] = False
    probabilities[outside] = 0
    return int(rng.choice(order, p=probabilities / probabilities.sum()))
