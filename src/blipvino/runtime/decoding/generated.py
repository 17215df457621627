"""What generation makes: the tokens of a text, and the text that callers get."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class GeneratedTokens:
    """The tokens of one text.

    Attributes:
        token_ids: prompt and generated tokens, without the closing one.
        finish_reason: "stop" if the text closed, "length" if ``max_new_tokens`` cut it off.
        log_probs: log-probability of each token that was generated, the closing one included, under the model: before
            temperature, penalties and whatever else says how tokens are chosen.
    """

    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    log_probs: tuple[float, ...]

    @classmethod
    def of(cls, token_ids: Sequence[int], finish_reason: FinishReason, log_probs: Sequence[float]) -> GeneratedTokens:
        """Of what a search found."""
        kept = tuple(min(0.0, log_prob) for log_prob in log_probs)  # rounding takes those of sure tokens above 0
        return cls(tuple(token_ids), finish_reason, kept)


@dataclass(frozen=True)
class Generated:
    """A caption or an answer, how it came to its end, and how likely the model finds it.

    Attributes:
        text: what `Blip.caption` or `Blip.answer` returns otherwise.
        token_ids: its tokens: the start token, those of the prompt, those generated; without the closing one.
        finish_reason: "stop" if the model closed the text, "length" if ``max_new_tokens`` cut it off.
        token_logprobs: natural logarithm of the probability of each generated token, the closing one included, given
            those before it. It is the model's own, whatever options chose the token.
        confidence: the probability that the text is right, as far as the model can tell. See ``calibrated``.
        calibrated: whether ``confidence`` was fitted on labelled samples (`blipvino calibrate`), which is done for the
            likeliest texts; else, and of texts that are drawn, it is the text's probability under the model.
        withheld: whether ``text`` is blank because ``confidence`` is below the ``min_confidence`` that was asked for.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    token_logprobs: tuple[float, ...]
    confidence: float
    calibrated: bool
    withheld: bool = False

    @property
    def logprob(self) -> float:
        """Logarithm of the probability of the whole text, given its prompt."""
        return math.fsum(self.token_logprobs)

    @property
    def mean_logprob(self) -> float:
        """The mean over its tokens, by which texts of different lengths compare."""
        return self.logprob / len(self.token_logprobs)
