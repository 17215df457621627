"""Scores of the next token, as a step of the decoder gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blipvino.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Scores:
    """Scores of the next token of ``R`` rows. Greedy and beam search need the likeliest tokens alone.

    Attributes:
        top_ids: int64 ``[R, K]``, likeliest first.
        top_logits: theirs, ``[R, K]``.
        log_normalizer: logarithm of the sum of all tokens' ``exp(logit)``, ``[R, 1]``.
        logits: makes the logits of the whole vocabulary, ``[R, vocab]``; until the next step only.
    """

    top_ids: IntArray
    top_logits: FloatArray
    log_normalizer: FloatArray
    logits: Callable[[], FloatArray]


Step = Callable[[IntArray, IntArray], Scores]
"""One decoder step: ``input_ids`` ``[R, T]`` and ``beam_idx`` ``[R]`` (the row that each row continues) to `Scores`.
The first call takes the prompt, each later one a token. Rows that no row continues have left for good."""
