"""Generating text step by step: greedy, sampling and beam search, token for token as `transformers` does.

Upstream: ``GenerationMixin._sample`` and ``_beam_search`` with their logits processors (transformers 5.x). One
difference is deliberate: no text depends on those that are decoded beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from blipvino.runtime.decoding.beams import beam_search
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.sampling import sample
from blipvino.runtime.decoding.token_scores import Inputs, Step, TextSteps


def one_text(
    prompt: Sequence[int], rng: np.random.Generator, eos_token_id: int, options: GenerationOptions
) -> TextSteps:
    """The search for one text.

    Args:
        prompt: token ids that it begins with.
        rng: of `row_generators`; used by sampling alone.
        eos_token_id: the token that closes a text.
        options: how to choose tokens.
    """
    if options.num_beams > 1:
        return beam_search(prompt, eos_token_id, options)
    return sample(prompt, rng, eos_token_id, options)


def generate(
    step: Step, prompt: list[int], rngs: Sequence[np.random.Generator], eos_token_id: int, options: GenerationOptions
) -> list[GeneratedTokens]:
    """Generate one text a row, each from the same prompt, side by side.

    Args:
        step: the decoder, at its start.
        prompt: token ids that every row begins with.
        rngs: one generator a row, of `row_generators`; used by sampling alone.
        eos_token_id: the token that closes a text.
        options: how to choose tokens.

    Returns:
        The tokens of each row, and whether it closed.
    """
    beams = options.num_beams
    searches = [one_text(prompt, rng, eos_token_id, options) for rng in rngs]
    given: dict[int, Inputs] = {row: next(search) for row, search in enumerate(searches)}
    first_rows = {row: beams * row for row in given}  # of each text, in the step before
    made: dict[int, GeneratedTokens] = {}
    while given:
        tokens = np.concatenate([inputs.tokens for inputs in given.values()])
        parents = np.concatenate([first_rows[row] + inputs.parents for row, inputs in given.items()])
        scores = step(tokens, parents)
        first_rows = {row: beams * place for place, row in enumerate(given)}
        going_on: dict[int, Inputs] = {}
        for row, first in first_rows.items():
            try:
                going_on[row] = searches[row].send(scores.of(slice(first, first + beams)))
            except StopIteration as end:
                made[row] = end.value
        given = going_on
    return [made[row] for row in range(len(rngs))]


def row_generators(rows: int, seed: int | None) -> list[np.random.Generator]:
    """A generator for each row of a call, so that what a row draws depends on its place alone, not on batches."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(rows)]


def endless_generators(seed: int | None) -> Iterator[np.random.Generator]:
    """As `row_generators`, for any number of rows."""
    seeds = np.random.SeedSequence(seed)
    while True:
        yield np.random.default_rng(seeds.spawn(1)[0])
