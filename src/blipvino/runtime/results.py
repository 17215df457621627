"""What callers get of generated tokens: texts, or all that is known of them; blank where the model is not sure."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from blipvino.bundle.bundle import Bundle
from blipvino.bundle.records import FittedConfidence
from blipvino.checks import flag, real, shown
from blipvino.errors import InputError
from blipvino.runtime.decoding.generated import Generated, GeneratedTokens
from blipvino.runtime.decoding.ranking import Ranking
from blipvino.runtime.inputs.texts import TextProcessor

Kind = Literal["answers", "captions"]


@dataclass(frozen=True)
class Confidence:
    """How sure a bundle is of its texts of one kind.

    Attributes:
        fitted: what its manifest says of it; None leaves the texts' own probabilities.
    """

    fitted: FittedConfidence | None

    @classmethod
    def of_bundle(cls, bundle: Bundle, kind: Kind) -> Confidence:
        """As the bundle's manifest has it."""
        record = bundle.manifest.confidence
        if record is None:
            return cls(None)
        return cls(record.answers if kind == "answers" else record.captions)

    @property
    def calibrated(self) -> bool:
        """Whether it was fitted."""
        return self.fitted is not None

    def of(self, logprob: float, *, cut_off: bool = False) -> float:
        """The probability that a text is right.

        Args:
            logprob: logarithm of its own probability.
            cut_off: whether ``max_new_tokens`` cut it off.
        """
        if self.fitted is None:
            return math.exp(min(0.0, logprob))
        if cut_off and self.fitted.cut_off is not None:
            return self.fitted.cut_off
        return self.fitted.scale.confidence(logprob)

    def of_ranking(self, ranking: Ranking) -> Ranking:
        """A ranking with the probability that its likeliest answer is right."""
        return replace(ranking, confidence=self.of(ranking.log_likelihoods[0]), calibrated=self.calibrated)


@dataclass(frozen=True)
class ResultForm:
    """The form in which a call returns its texts.

    Attributes:
        texts: from tokens to text.
        confidence: how sure they are.
        details: whether `Generated` is returned in place of the text.
        min_confidence: texts that are less sure are blank.
    """

    texts: TextProcessor
    confidence: Confidence
    details: bool
    min_confidence: float

    @classmethod
    def checked(
        cls,
        texts: TextProcessor,
        confidence: Confidence,
        return_details: object,
        return_scores: object,
        min_confidence: object,
    ) -> ResultForm:
        """The form that callers ask for.

        Raises:
            InputError: an argument is of another type or out of its range.
        """
        details = flag("return_details", return_details) | flag("return_scores", return_scores)
        return cls(texts, confidence, details, checked_confidence(min_confidence))

    def results(self, rows: Sequence[GeneratedTokens], several: bool) -> Any:
        """All, as a list, or the one."""
        results = [self.result(row) for row in rows]
        return results if several else results[0]

    def stream(self, rows: Generator[GeneratedTokens]) -> Iterator[Any]:
        """One by one, as they come."""
        with closing(rows):
            for row in rows:
                yield self.result(row)

    def text(self, row: GeneratedTokens) -> str:
        """The text alone."""
        return self.texts.decode(row.token_ids)

    def check_pieces(self, several: bool) -> None:
        """Check that a text can be told piece by piece.

        Raises:
            InputError: there are several, or what is wanted of it is known at its end alone.
        """
        if several:
            raise InputError("stream gives one text in pieces, found several; give one image, or leave stream out")
        if self.details or self.min_confidence:
            raise InputError(
                "stream tells a text before its end, when its scores are not known: leave out return_details, "
                "return_scores and min_confidence"
            )

    def result(self, row: GeneratedTokens) -> str | Generated:
        """The one."""
        confidence = self.confidence.of(math.fsum(row.log_probs), cut_off=row.finish_reason == "length")
        withheld = confidence < self.min_confidence
        text = "" if withheld else self.texts.decode(row.token_ids)
        if not self.details:
            return text
        return Generated(
            text, row.token_ids, row.finish_reason, row.log_probs, confidence, self.confidence.calibrated, withheld
        )


def checked_confidence(value: object) -> float:
    """A least confidence; None is 0.

    Raises:
        InputError: it is no probability.
    """
    least = 0.0 if value is None else real("min_confidence", value)
    if not 0 <= least <= 1:
        raise InputError(f"min_confidence is {shown(value)}, expected a probability, from 0 to 1")
    return least
