"""Greedy search and sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.errors import InputError
from blipvino.runtime.decoding.choosing import likeliest, processed
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.token_scores import Inputs, Scores, TextSteps

_ITSELF = np.zeros(1, np.int64)
"""The parent of the only row."""


def sample(prompt: Sequence[int], rng: np.random.Generator, eos_token_id: int, options: GenerationOptions) -> TextSteps:
    """Greedy search and sampling of one text; see `TextSteps`.

    Args:
        prompt: token ids that it begins with.
        rng: used by sampling alone.
        eos_token_id: the token that closes a text.
        options: how to choose tokens.
    """
    tokens, log_probs = list(prompt), list[float]()
    new = tokens
    for new_tokens in range(options.max_new_tokens):
        scores = yield Inputs(np.array([new], np.int64), _ITSELF)
        if options.do_sample:
            token, log_prob = _drawn(scores, tokens, new_tokens, rng, eos_token_id, options)
        else:
            found = likeliest(scores, np.array([tokens]), new_tokens, 1, eos_token_id, options)
            token, log_prob = int(found.ids[0, 0]), float(found.log_probs[0, 0])
        log_probs.append(log_prob)
        if token == eos_token_id:
            return GeneratedTokens.of(tokens, "stop", log_probs)
        tokens.append(token)
        new = [token]
    return GeneratedTokens.of(tokens, "length", log_probs)


def _drawn(
    scores: Scores,
    tokens: list[int],
    new_tokens: int,
    rng: np.random.Generator,
    eos_token_id: int,
    options: GenerationOptions,
) -> tuple[int, float]:
    """A token that was drawn, and its log-probability under the model."""
    logits = scores.logits()
    judged = processed(logits, np.array([tokens]), new_tokens, eos_token_id, options)
    token = _draw(judged[0], rng, options)
    return token, float(logits[0, token] - scores.log_normalizer[0, 0])


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
