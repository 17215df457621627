"""How tokens are chosen: what a caller may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from blipvino.checkpoint.text_length import DEFAULT_NEW_TOKENS
from blipvino.checks import flag, integer, real, shown
from blipvino.errors import InputError


@dataclass(frozen=True)
class GenerationOptions:
    """How to choose tokens. Names and meanings are those of `transformers`' ``GenerationConfig``; ``seed`` is ours.

    Integers and floats may be numpy's; they become Python's.

    Attributes:
        max_new_tokens: tokens to generate at the most, the closing one included; together with the prompt's at most
            as many as the model has positions. `Blip` has the checkpoint's own number as its default.
        min_new_tokens: tokens to generate before the text may close.
        num_beams: beams of beam search; 1 is greedy search (or sampling). At most as many as the model's vocabulary has
            words; and the keys and values of all tokens of all beams of a batch (``2 * num_hidden_layers *
            hidden_size * 4`` bytes a token), its sources' and its logits may take half of the memory that the machine
            or its container has (`blipvino.runtime.limits`).
        length_penalty: exponent of the length by which a beam's score is divided, from -10 to 10.
        do_sample: draw the next token instead of taking the likeliest.
        temperature: divides the scores before drawing; at least 0.001.
        top_k: draw among so many likeliest tokens; 0 is all.
        top_p: draw among the likeliest tokens that together have this probability.
        seed: of the drawing, below 2**64; None draws differently each time.
        repetition_penalty: divides (or multiplies, when negative) the scores of tokens already present; from 0.000001
            to 1000000.
        no_repeat_ngram_size: no so many tokens in a row come twice, those of the prompt included; 0 allows all.
    """

    max_new_tokens: int = DEFAULT_NEW_TOKENS
    min_new_tokens: int = 0
    num_beams: int = 1
    length_penalty: float = 1.0
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    seed: int | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0

    @classmethod
    def from_keywords(cls, given: Mapping[str, Any]) -> GenerationOptions:
        """Options by name, as the methods of `Blip` take them.

        Raises:
            InputError: there is no such option, or as `GenerationOptions`.
        """
        known = [option.name for option in fields(cls)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise InputError(f"unknown option {unknown[0]!r}; expected one of {', '.join(known)}")
        return cls(**given)

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            InputError: an option is of another type or out of its range, or two of them exclude each other.
        """
        for option in fields(self):
            object.__setattr__(self, option.name, _as_kind(option.name, getattr(self, option.name), option.default))
        ranges = (
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
            ("min_new_tokens", 0 <= self.min_new_tokens <= self.max_new_tokens, "from 0 to max_new_tokens"),
            ("num_beams", self.num_beams >= 1, "at least 1"),
            ("temperature", 1e-3 <= self.temperature < np.inf, "at least 0.001 (greedy: do_sample off)"),
            ("top_k", self.top_k >= 0, "0 (all tokens) or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("repetition_penalty", 1e-6 <= self.repetition_penalty <= 1e6, "above 0, from 0.000001 to 1000000"),
            ("no_repeat_ngram_size", self.no_repeat_ngram_size >= 0, "0 (repeat freely) or more"),
            ("length_penalty", abs(self.length_penalty) <= 10, "from -10 to 10"),
            ("seed", self.seed is None or 0 <= self.seed < 2**64, "from 0 to 2**64 - 1"),
        )
        for name, holds, expected in ranges:
            if not holds:
                raise InputError(f"{name} is {shown(getattr(self, name))}, expected {expected}")
        if self.do_sample and self.num_beams > 1:
            raise InputError("num_beams above 1 and do_sample exclude each other; choose beam search or sampling")


def _as_kind(name: str, value: object, default: object) -> bool | int | float | None:
    """An option's value as Python's own type, that of its default; any integer is a float too, and no bool is one."""
    if value is None and default is None:
        return None
    if isinstance(default, bool):
        return flag(name, value)
    return real(name, value) if isinstance(default, float) else integer(name, value)
