"""What a model's shape and the machine's memory allow, so that what cannot end well is refused before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from blipvino.checkpoint.config import BlipConfig
from blipvino.checks import shown
from blipvino.errors import InputError
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.ranking import ANSWERS_PER_STEP, AnswerList

_MEMORY_SHARE = 2
"""Half of the memory is what a batch may take by this estimate, of which up to 1.3 times was measured."""

_FLOAT_BYTES = 4
_SCORE_BYTES = 24
"""Of each row and word: the logit, its log-probability, and its place in their order."""


class Limits:
    """Checks of the sizes that a call would need.

    Args:
        config: the model.
        memory: bytes that this process may use at the most; None where that is not known, and then nothing is refused
            for its size.
    """

    def __init__(self, config: BlipConfig, memory: int | None) -> None:
        self._config = config
        self._memory = memory

    @property
    def longest_question(self) -> int:
        """Tokens that a question has at the most."""
        return self._config.text.max_position_embeddings

    def check_generation(
        self, prompt_tokens: int, texts: int, source_positions: int, options: GenerationOptions
    ) -> None:
        """Check that a batch of so many texts can be generated, over sources of so many positions each.

        Raises:
            InputError: prompt and new tokens exceed the model's positions, ``num_beams`` its vocabulary, or all of it
                the memory.
        """
        positions, words = self._config.text.max_position_embeddings, self._config.text.vocab_size
        if prompt_tokens + options.max_new_tokens > positions:
            raise InputError(
                f"{prompt_tokens} prompt tokens and max_new_tokens {shown(options.max_new_tokens)} exceed the "
                f"{positions} positions of this model; shorten the prompt or lower max_new_tokens"
            )
        if options.num_beams > words:
            raise InputError(
                f"num_beams is {shown(options.num_beams)}, expected at most the {words} words of this model's "
                "vocabulary: no more texts differ in their first word"
            )
        rows, tokens = texts * options.num_beams, prompt_tokens + options.max_new_tokens
        what = f"a batch of {shown(texts)} with num_beams {options.num_beams} and {tokens} tokens each"
        self.check_decoding(texts, source_positions, rows, tokens, what, candidates=2 * options.num_beams)

    def check_decoding(
        self, sources: int, source_positions: int, rows: int, tokens: int, what: str, *, candidates: int = 0
    ) -> None:
        """Check that so many sources and rows of so many tokens can be decoded together.

        Args:
            sources: how many.
            source_positions: of each; every layer holds keys and values of all.
            rows: of text.
            tokens: of each; every layer holds keys and values of all.
            what: what needs this, for the message.
            candidates: next tokens that are weighed for each row.

        Raises:
            InputError: they need too much memory; the message says what does.
        """
        text = self._config.text
        kv = 2 * text.num_hidden_layers * text.hidden_size * _FLOAT_BYTES
        states = text.hidden_size * _FLOAT_BYTES
        of_sources = sources * source_positions * (kv + states)
        of_rows = rows * (tokens * kv + (text.vocab_size + min(candidates, text.vocab_size)) * _SCORE_BYTES)
        self._check(of_sources + of_rows, what, "lower batch_size or num_beams")

    def check_ranking(self, questions: Sequence[list[int]], answers: AnswerList, batch_size: int) -> None:
        """Check that answers can be ranked for batches of questions.

        Raises:
            InputError: the answers have tokens that the model has not, or a batch needs too much memory.
        """
        if answers.tokens.max() >= self._config.text.vocab_size:
            raise InputError("this AnswerList was made for another model; make it with this one's blip.texts")
        rows, tokens = min(ANSWERS_PER_STEP, len(answers.texts)), 1 + answers.tokens.shape[1]
        texts, positions = min(batch_size, len(questions)), max(map(len, questions), default=0)
        self.check_decoding(texts, positions, rows, tokens, f"ranking for {texts} questions at a time")

    def check_texts(self, rows: int, tokens: int, positions: int) -> None:
        """Check that a batch of so many texts can be encoded together.

        Args:
            rows: texts.
            tokens: of each.
            positions: of the image that they attend to; 0 where they are read alone.

        Raises:
            InputError: they need too much memory.
        """
        text = self._config.text
        widest = max(text.intermediate_size, 4 * text.hidden_size, text.num_attention_heads * (tokens + positions))
        needed = rows * tokens * widest * _FLOAT_BYTES
        self._check(needed, f"a batch of {shown(rows)} texts of {tokens} tokens", "lower batch_size")

    def check_images(self, images: int, what: str, advice: str) -> None:
        """Check that so many images can be held, their pixels and what the model sees in them.

        Raises:
            InputError: they need too much memory; the message says what does, and what to do about it.
        """
        vision = self._config.vision
        pixels, embeds = 3 * vision.image_size**2, vision.num_positions * vision.hidden_size * _FLOAT_BYTES
        self._check(images * (pixels + embeds), what, advice)

    def _check(self, needed: int, what: str, advice: str) -> None:
        if self._memory is not None and needed > self._memory // _MEMORY_SHARE:
            allowed = _mebibytes(self._memory // _MEMORY_SHARE)
            raise InputError(
                f"{what} would take {_mebibytes(needed)} of memory, expected at most {allowed}, half of what this "
                f"process may use; {advice}"
            )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB" if size < 2**60 else "more than 2**40 MiB"
