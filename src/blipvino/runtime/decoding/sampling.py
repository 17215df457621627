"""Greedy search and sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.arrays import FloatArray, IntArray
from blipvino.runtime.decoding.choosing import likeliest, processed
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.token_scores import Step


def sample(
    step: Step,
    inputs: IntArray,
    rngs: Sequence[np.random.Generator],
    eos_token_id: int,
    options: GenerationOptions,
) -> list[list[int]]:
    """Greedy search and sampling. A row that has closed leaves."""
    rows, length = inputs.shape
    sequences = np.concatenate([inputs, np.full((rows, options.max_new_tokens), eos_token_id, np.int64)], axis=1)
    live = parents = np.arange(rows)
    for new_tokens in range(options.max_new_tokens):
        scores = step(inputs, parents)
        if options.do_sample:
            logits = processed(
                scores.logits(), sequences[live, : length + new_tokens], new_tokens, eos_token_id, options
            )
            chosen = np.array([_draw(logits[i], rngs[row], options) for i, row in enumerate(live.tolist())], np.int64)
        else:
            seen = sequences[live, : length + new_tokens]
            chosen = likeliest(scores, seen, new_tokens, 1, eos_token_id, options)[0][:, 0]
        sequences[live, length + new_tokens] = chosen
        parents = np.flatnonzero(chosen != eos_token_id)
        live, inputs = live[parents], chosen[parents, None]
        if not live.size:
            break
    return [row.tolist() for row in sequences]


def _draw(scores: FloatArray, rng: np.random.Generator, options: GenerationOptions) -> int:
    """Draw one token after temperature, top-k and top-p."""
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
