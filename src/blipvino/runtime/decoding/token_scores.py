"""Scores of the next token, as a step of the decoder gives them, and what a step is given."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from blipvino.arrays import FloatArray, IntArray
from blipvino.runtime.decoding.generated import GeneratedTokens


@dataclass(frozen=True)
class Scores:
    """Scores of the next token of ``R`` rows. Greedy and beam search need the likeliest tokens alone.

    Attributes:
        top_ids: int64 ``[R, K]``, likeliest first.
        top_logits: theirs, ``[R, K]``.
        log_normalizer: logarithm of the sum of all tokens' ``exp(logit)``, ``[R, 1]``.
        all_logits: makes the logits of the whole vocabulary of some of the decoder's rows, ``[N, vocab]``; until the
            next step only.
        rows: int64 ``[R]``, of the decoder.
    """

    top_ids: IntArray
    top_logits: FloatArray
    log_normalizer: FloatArray
    all_logits: Callable[[IntArray], FloatArray]
    rows: IntArray

    def logits(self) -> FloatArray:
        """Of the whole vocabulary, ``[R, vocab]``; until the next step only."""
        return self.all_logits(self.rows)

    def of(self, part: slice) -> Scores:
        """Those of some of the rows."""
        return Scores(
            self.top_ids[part], self.top_logits[part], self.log_normalizer[part], self.all_logits, self.rows[part]
        )


Step = Callable[[IntArray, IntArray], Scores]
"""One decoder step: ``input_ids`` ``[R, T]`` and ``beam_idx`` ``[R]`` (the row that each row continues) to `Scores`.
The first call takes the prompt, each later one a token. Rows that no row continues have left for good."""


@dataclass(frozen=True)
class Inputs:
    """What one text gives to a step.

    Attributes:
        tokens: int64 ``[n, T]`` of its ``n`` rows: the prompt, afterwards one token.
        parents: int64 ``[n]``: which of its rows in the step before each row continues.
    """

    tokens: IntArray
    parents: IntArray


TextSteps = Generator[Inputs, Scores, GeneratedTokens]
"""The search for one text: it gives the inputs of each step, is sent the scores of its rows, and returns the text."""
