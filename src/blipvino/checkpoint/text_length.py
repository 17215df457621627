"""How long a checkpoint's texts become where nobody says: what its ``generation_config.json`` says of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from blipvino.errors import CheckpointError

GENERATION_FILE = "generation_config.json"
DEFAULT_NEW_TOKENS = 20
"""Of a checkpoint that says nothing; `transformers`' default, too."""


@dataclass(frozen=True)
class TextLength:
    """Names and meanings are those of `transformers`' ``GenerationConfig``.

    Attributes:
        max_new_tokens: tokens to generate at the most, the closing one included; None where the file has none.
        max_length: the same with the prompt's, where it has no ``max_new_tokens``.
    """

    max_new_tokens: int | None = None
    max_length: int | None = None

    def new_tokens(self, prompt_tokens: int, positions: int) -> int:
        """Tokens to generate at the most after a prompt, by a model of so many positions; at least 1."""
        asked = self.max_new_tokens
        if asked is None:
            asked = DEFAULT_NEW_TOKENS if self.max_length is None else self.max_length - prompt_tokens
        return max(1, min(asked, positions - prompt_tokens))


def parse_text_length(content: Mapping[str, Any], source: str) -> TextLength:
    """Read a parsed ``generation_config.json``.

    Args:
        content: the file's content; empty where there is no file.
        source: where it came from, for messages.

    Raises:
        CheckpointError: a length is no positive integer.
    """
    lengths = {field.name: content.get(field.name) for field in fields(TextLength)}
    for name, value in lengths.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise CheckpointError(f"{source}: {GENERATION_FILE}: {name} is {value!r}, expected a positive integer")
    return TextLength(**lengths)
