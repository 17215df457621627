"""Generating text step by step: greedy, sampling and beam search, token for token as `transformers` does.

Upstream: ``GenerationMixin._sample`` and ``_beam_search`` with their logits processors (transformers 5.x). One
difference is deliberate: no row's result depends on the other rows of its batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.runtime.decoding.beams import beam_search
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.sampling import sample
from blipvino.runtime.decoding.token_scores import Step


def generate(
    step: Step, prompt: list[int], rngs: Sequence[np.random.Generator], eos_token_id: int, options: GenerationOptions
) -> list[GeneratedTokens]:
    """Generate one text a row, each from the same prompt.

    Args:
        step: the decoder, at its start.
        prompt: token ids that every row begins with.
        rngs: one generator a row, of `row_generators`; used by sampling alone.
        eos_token_id: the token that closes a text.
        options: how to choose tokens.

    Returns:
        The tokens of each row, and whether it closed.
    """
    start = np.tile(np.array(prompt, np.int64), (len(rngs), 1))
    if options.num_beams > 1:
        sequences = beam_search(step, start, eos_token_id, options)
    else:
        sequences = sample(step, start, rngs, eos_token_id, options)
    return [_finished(*sequence, eos_token_id, len(prompt)) for sequence in sequences]


def row_generators(rows: int, seed: int | None) -> list[np.random.Generator]:
    """A generator for each row of a call, so that what a row draws depends on its place alone, not on batches."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(rows)]


def _finished(tokens: list[int], log_probs: list[float], eos_token_id: int, start: int) -> GeneratedTokens:
    """A row up to its first closing token after the prompt."""
    kept = tuple(min(0.0, log_prob) for log_prob in log_probs)  # rounding takes those of sure tokens above 0
    if eos_token_id in tokens[start:]:
        end = tokens.index(eos_token_id, start)
        return GeneratedTokens(tuple(tokens[:end]), "stop", kept[: end - start + 1])
    return GeneratedTokens(tuple(tokens), "length", kept)
