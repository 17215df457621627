"""Text to token ids and back, as upstream's ``BertTokenizer`` does for BLIP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from blipvino.arrays import IntArray
from blipvino.checkpoint.config import TextConfig
from blipvino.checks import kind_of, shown
from blipvino.errors import BundleError, InputError

MAX_CHARACTERS = 100_000
"""Of a text. Its tokens are counted after they are made, which takes seconds and gigabytes for one without end."""


@dataclass(frozen=True)
class TokenBatch:
    """Padded rows of tokens: ``input_ids`` and ``attention_mask``, both int64 ``[R, T]``."""

    input_ids: IntArray
    attention_mask: IntArray


class TextProcessor:
    """BLIP's use of its tokenizer: questions in, prompts in, generated text out."""

    def __init__(self, tokenizer: Tokenizer, config: TextConfig) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._config = config
        cls_id = tokenizer.token_to_id("[CLS]")
        self._special = {config.bos_token_id, config.pad_token_id, config.sep_token_id, cls_id}

    @classmethod
    def from_file(cls, path: Path, config: TextConfig) -> TextProcessor:
        """Read ``tokenizer.json``.

        Raises:
            BundleError: the file is not a tokenizer, or not one of this model.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise BundleError(f"{path}: not a tokenizer ({error})") from error
        tokens = tokenizer.get_vocab_size()
        if tokens > config.vocab_size:
            raise BundleError(
                f"{path}: not this model's tokenizer: it has {tokens} tokens, but the model only {config.vocab_size}"
            )
        if tokenizer.token_to_id("[CLS]") is None:
            raise BundleError(f"{path}: not the tokenizer of a BLIP: it has no [CLS]")
        return cls(tokenizer, config)

    def question(self, text: str) -> list[int]:
        """Tokenize a question as ``[CLS] … [SEP]``.

        Raises:
            InputError: it is not text, is empty, or has more tokens than the model has positions.
        """
        return self._encode(text, "question")

    def statement(self, text: str) -> list[int]:
        """Tokenize a text that is compared with images as ``[CLS] … [SEP]``.

        Raises:
            InputError: as `question`.
        """
        return self._encode(text, "text")

    def questions(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenize several questions, see `question`, padded to the longest."""
        return self.batch([self.question(text) for text in texts])

    def batch(self, rows: Sequence[list[int]]) -> TokenBatch:
        """Rows of token ids, padded to the longest."""
        length = max(len(row) for row in rows)
        input_ids = np.full((len(rows), length), self._config.pad_token_id, np.int64)
        attention_mask = np.zeros((len(rows), length), np.int64)
        for row, ids in enumerate(rows):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        return TokenBatch(input_ids, attention_mask)

    def prompt(self, text: str | None) -> list[int]:
        """Token ids that a caption starts from: the decoder's start token, then the prompt without its ``[SEP]``.

        Raises:
            InputError: the prompt is not text, is blank, or has more tokens than the model has positions.
        """
        if text is None:
            return [self._config.bos_token_id]
        return [self._config.bos_token_id, *self._encode(text, "prompt")[1:-1]]

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer as the decoder says it: without the start token, with the closing one.

        Raises:
            InputError: the answer is not text, is blank, or has more tokens than the model has positions.
        """
        return self._encode(text, "answer")[1:]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated tokens, special ones left out."""
        kept = [int(token) for token in ids if token not in self._special]
        return str(self._tokenizer.decode(kept, skip_special_tokens=True))

    def _encode(self, text: str, what: str) -> list[int]:
        if not isinstance(text, str):
            raise InputError(f"a {what} must be text, found {type(text).__name__} {shown(text)}")
        if len(text) > MAX_CHARACTERS:
            raise InputError(
                f"the {what} {text[:40]!a}… has {len(text):,} characters, expected at most {MAX_CHARACTERS:,}; "
                "shorten it"
            )
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(f"the {what} {text[:40]!a} holds half of a surrogate pair; expected valid Unicode")
        if not text.strip():
            raise InputError(f"the {what} is empty; expected at least one word")
        ids: list[int] = self._tokenizer.encode(text).ids
        if len(ids) <= 2:  # [CLS] and [SEP]: nothing but control characters and the like
            raise InputError(f"the {what} {text[:40]!a} has no text that the tokenizer knows; expected a word")
        limit = self._config.max_position_embeddings
        if len(ids) > limit:
            raise InputError(
                f"the {what} {text[:40]!r}… has {len(ids)} tokens, this model takes at most {limit}; shorten it"
            )
        return ids


def listed_texts(what: str, texts: Iterable[str]) -> list[str]:
    """Texts as a list, of any sequence or iterator. What its items are is the tokenizer's to check.

    Raises:
        InputError: not that, or something without an order.
    """
    scalar = isinstance(texts, np.ndarray) and not texts.ndim
    if scalar or isinstance(texts, str | Mapping | Set) or not isinstance(texts, Iterable):
        raise InputError(f"{what} must be a list of texts or another sequence, found {kind_of(texts)} {shown(texts)}")
    return list(texts)
