"""What generation makes: the tokens of a text, and the text that callers get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class GeneratedTokens:
    """The tokens of one text.

    Attributes:
        token_ids: prompt and generated tokens, without the closing one.
        finish_reason: "stop" if the text closed, "length" if ``max_new_tokens`` cut it off.
    """

    token_ids: tuple[int, ...]
    finish_reason: FinishReason


@dataclass(frozen=True)
class Generated:
    """A caption or an answer, and how it came to its end.

    Attributes:
        text: what `Blip.caption` or `Blip.answer` returns otherwise.
        token_ids: its tokens: the start token, those of the prompt, those generated; without the closing one.
        finish_reason: "stop" if the model closed the text, "length" if ``max_new_tokens`` cut it off.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
