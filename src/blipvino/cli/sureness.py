"""How sure a model is of a text that is printed, and whether the text is withheld for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.decoding.ranking import Ranking


@dataclass(frozen=True)
class Sureness:
    """What is known of a text's probability.

    Attributes:
        confidence: the probability that it is right.
        calibrated: whether that was fitted; else it is the probability of the text.
        logprob: logarithm of the probability of the text.
        token_logprobs: of its tokens; None of an answer from a list.
        withheld: whether the text is not shown, being less sure than was asked for.
        match: how probable it is that it fits its image, where another model chose it for that; else None.
    """

    confidence: float
    calibrated: bool
    logprob: float
    token_logprobs: tuple[float, ...] | None
    withheld: bool
    match: float | None = None

    @classmethod
    def of_generated(cls, made: Generated, match: float | None) -> Sureness:
        """That of a caption or an answer."""
        return cls(made.confidence, made.calibrated, made.logprob, made.token_logprobs, made.withheld, match)

    @classmethod
    def of_ranking(cls, made: Ranking, min_confidence: float) -> Sureness:
        """That of the likeliest answer of a list."""
        withheld = made.confidence < min_confidence
        return cls(made.confidence, made.calibrated, made.log_likelihoods[0], None, withheld)

    def __str__(self) -> str:
        """As it follows a text: "(97.3%)"."""
        return f"({self.confidence:.1%})" if self.calibrated else f"({self.confidence:.1%}, uncalibrated)"

    def to_json(self) -> dict[str, Any]:
        """``confidence``, ``calibrated``, ``logprob``, and of generated texts ``mean_logprob`` and
        ``token_logprobs``; ``match`` of those that were chosen for it.
        """
        row: dict[str, Any] = {"confidence": self.confidence, "calibrated": self.calibrated, "logprob": self.logprob}
        if self.token_logprobs is not None:
            row["mean_logprob"] = self.logprob / len(self.token_logprobs)
            row["token_logprobs"] = list(self.token_logprobs)
        if self.match is not None:
            row["match"] = self.match
        return row
