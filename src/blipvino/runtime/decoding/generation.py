"""Generating text step by step: greedy, sampling and beam search, token for token as `transformers` does.

Upstream: ``GenerationMixin._sample`` and ``_beam_search`` with their logits processors (transformers 5.x). One
difference is deliberate: no row's result depends on the other rows of its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from blipvino.arrays import FloatArray, IntArray
from blipvino.checkpoint.text_length import DEFAULT_NEW_TOKENS
from blipvino.checks import flag, integer, real, shown
from blipvino.errors import InputError

FinishReason = Literal["stop", "length"]


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


_EXCLUDED_SCORE = np.float32(-1e9)
"""Upstream's score of a beam that must not be chosen."""


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


def generate(
    step: Step, prompt: list[int], rngs: Sequence[np.random.Generator], eos_token_id: int, options: GenerationOptions
) -> list[GeneratedTokens]:
    """Generate one text a row, each from the same prompt.

    Args:
        step: the decoder, at its start.
        prompt: token ids that every row begins with.
        rngs: one generator a row, of `row_generators`; used by sampling alone.
        eos_token_id: the token that closes a text.
        options: how to choose tokens.

    Returns:
        The tokens of each row, and whether it closed.
    """
    start = np.tile(np.array(prompt, np.int64), (len(rngs), 1))
    if options.num_beams > 1:
        sequences = _beam_search(step, start, eos_token_id, options)
    else:
        sequences = _sample(step, start, rngs, eos_token_id, options)
    return [_finished(tokens, eos_token_id, len(prompt)) for tokens in sequences]


def row_generators(rows: int, seed: int | None) -> list[np.random.Generator]:
    """A generator for each row of a call, so that what a row draws depends on its place alone, not on batches."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(rows)]


def _finished(tokens: list[int], eos_token_id: int, start: int) -> GeneratedTokens:
    """A row up to its first closing token after the prompt."""
    if eos_token_id in tokens[start:]:
        return GeneratedTokens(tuple(tokens[: tokens.index(eos_token_id, start)]), "stop")
    return GeneratedTokens(tuple(tokens), "length")


def _sample(
    step: Step,
    inputs: IntArray,
    rngs: Sequence[np.random.Generator],
    eos_token_id: int,
    options: GenerationOptions,
) -> list[list[int]]:
    """Greedy search and sampling. A row that has closed leaves."""
    rows, length = inputs.shape
    sequences = np.concatenate([inputs, np.full((rows, options.max_new_tokens), eos_token_id, np.int64)], axis=1)
    live = parents = np.arange(rows)
    for new_tokens in range(options.max_new_tokens):
        scores = step(inputs, parents)
        if options.do_sample:
            logits = _processed(
                scores.logits(), sequences[live, : length + new_tokens], new_tokens, eos_token_id, options
            )
            chosen = np.array([_draw(logits[i], rngs[row], options) for i, row in enumerate(live.tolist())], np.int64)
        else:
            seen = sequences[live, : length + new_tokens]
            chosen = _likeliest(scores, seen, new_tokens, 1, eos_token_id, options)[0][:, 0]
        sequences[live, length + new_tokens] = chosen
        parents = np.flatnonzero(chosen != eos_token_id)
        live, inputs = live[parents], chosen[parents, None]
        if not live.size:
            break
    return [row.tolist() for row in sequences]


def _likeliest(
    scores: Scores, seen: IntArray, new_tokens: int, count: int, eos_token_id: int, options: GenerationOptions
) -> tuple[IntArray, FloatArray]:
    """The ``count`` likeliest tokens of each row after processing, and their log-probabilities, both ``[R, count]``.

    Log-probabilities are taken before the processors, as upstream's beam search does; their order is the logits'.
    """
    suppressed = new_tokens < options.min_new_tokens
    if options.repetition_penalty == 1.0 and scores.top_ids.shape[1] >= count + suppressed:
        log_probs = scores.top_logits - scores.log_normalizer
        if not suppressed:
            return scores.top_ids[:, :count], log_probs[:, :count]
        order = np.argsort(scores.top_ids == eos_token_id, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores.top_ids, order, axis=1), np.take_along_axis(log_probs, order, axis=1)
    log_probs = scores.logits()
    if options.num_beams > 1:
        log_probs = log_probs - scores.log_normalizer
    log_probs = _processed(log_probs, seen, new_tokens, eos_token_id, options)
    top = _top_k(log_probs, min(count, log_probs.shape[1]))
    return top, np.take_along_axis(log_probs, top, axis=1)


def _processed(
    scores: FloatArray, sequences: IntArray, new_tokens: int, eos_token_id: int, options: GenerationOptions
) -> FloatArray:
    """Scores after repetition penalty and minimum length, in upstream's order."""
    scores = scores.copy()
    if options.repetition_penalty != 1.0:
        seen = np.take_along_axis(scores, sequences, axis=1)
        penalty = np.float32(options.repetition_penalty)
        np.put_along_axis(scores, sequences, np.where(seen < 0, seen * penalty, seen / penalty), axis=1)
    if new_tokens < options.min_new_tokens:
        scores[:, eos_token_id] = -np.inf
    return scores


def _draw(scores: FloatArray, rng: np.random.Generator, options: GenerationOptions) -> int:
    """Draw one token after temperature, top-k and top-p."""
    kept = scores.astype(np.float64) / options.temperature
    if 0 < options.top_k < len(kept):
        kept = np.where(kept < np.partition(kept, -options.top_k)[-options.top_k], -np.inf, kept)
    order = np.argsort(kept, kind="stable")
    probabilities = np.exp(kept[order] - kept[order[-1]])
    probabilities /= probabilities.sum()
    outside = probabilities.cumsum() <= 1 - options.top_p
    outside[-1] = False
    probabilities[outside] = 0
    return int(rng.choice(order, p=probabilities / probabilities.sum()))


@dataclass
class _Beams:
    """Beam search over the rows that are still open, with ``n`` beams each; names follow upstream's.

    Running beams ``[B, n, length]`` are not closed yet; the best closed ones of every row that there was are kept as
    ``(score, tokens)``.
    """

    running: IntArray
    running_scores: FloatArray
    rows: IntArray
    finished: list[list[tuple[np.float32, list[int]]]]
    prompt_length: int
    eos_token_id: int
    options: GenerationOptions

    @classmethod
    def start(cls, sequences: IntArray, eos_token_id: int, options: GenerationOptions) -> _Beams:
        """All beams hold the prompt; only the first of each row counts, so that they do not all say the same."""
        rows, length = sequences.shape
        running = np.repeat(sequences[:, None], options.num_beams, axis=1)
        scores = np.full((rows, options.num_beams), _EXCLUDED_SCORE, np.float32)
        scores[:, 0] = 0
        finished: list[list[tuple[np.float32, list[int]]]] = [[] for _ in range(rows)]
        return cls(running, scores, np.arange(rows), finished, length, eos_token_id, options)

    def advance(self, ids: IntArray, log_probs: FloatArray, last: bool) -> IntArray:
        """Take one step: each beam's likeliest tokens and their log-probabilities, both ``[B * n, count]``.

        Returns the next ``beam_idx``: the beams that go on, of the rows that go on.
        """
        rows, beams, length = self.running.shape
        count = ids.shape[-1]
        total = (log_probs.reshape(rows, beams, count) + self.running_scores[:, :, None]).reshape(rows, -1)
        top = _top_k(total, 2 * beams)
        scores = np.take_along_axis(total, top, axis=1)
        origin, tokens = top // count, np.take_along_axis(ids.reshape(rows, -1), top, axis=1)
        candidates = np.take_along_axis(self.running, origin[:, :, None], axis=1)
        candidates = np.concatenate([candidates, tokens[:, :, None]], axis=2)
        closing = (tokens == self.eos_token_id) | last
        self._collect(candidates, scores, closing, length + 1 - self.prompt_length)
        open_scores = scores + closing.astype(np.float32) * _EXCLUDED_SCORE
        keep = _top_k(open_scores, beams)
        self.running = np.take_along_axis(candidates, keep[:, :, None], axis=1)
        self.running_scores = np.take_along_axis(open_scores, keep, axis=1)
        origin = np.take_along_axis(origin, keep, axis=1) + np.arange(rows)[:, None] * beams
        stay = self._improvable(length + 1 - self.prompt_length)
        self.running, self.running_scores, self.rows = self.running[stay], self.running_scores[stay], self.rows[stay]
        return origin[stay].reshape(-1)

    def _collect(
        self, candidates: IntArray, scores: FloatArray, closing: npt.NDArray[np.bool_], new_tokens: int
    ) -> None:
        """Keep the best closed beams; only the ``n`` best candidates may close."""
        beams = self.options.num_beams
        penalized = scores / np.float32(new_tokens**self.options.length_penalty)
        for index, row in enumerate(self.rows):
            kept = self.finished[row]
            for place in np.flatnonzero(closing[index, :beams]):
                kept.append((penalized[index, place], candidates[index, place].tolist()))
            kept.sort(key=lambda beam: -beam[0])  # stable: the earlier one wins a tie, as upstream
            del kept[beams:]

    def _improvable(self, new_tokens: int) -> npt.NDArray[np.bool_]:
        """Upstream's heuristic (``early_stopping=False``): can the best running beam still beat the worst kept one?"""
        best = self.running_scores[:, 0] / np.float32(new_tokens**self.options.length_penalty)
        kept = [self.finished[row] for row in self.rows]
        worst = [beams[-1][0] if len(beams) == self.options.num_beams else _EXCLUDED_SCORE for beams in kept]
        return best > np.array(worst, np.float32)

    def best(self) -> list[list[int]]:
        """The best closed beam of each row."""
        return [kept[0][1] for kept in self.finished]


def _top_k(scores: FloatArray, count: int) -> IntArray:
    """Indices of the ``count`` largest of each row, largest first."""
    part = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    part.sort(axis=1)  # ties go to the lower index
    order = np.argsort(-np.take_along_axis(scores, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)


def _beam_search(step: Step, sequences: IntArray, eos_token_id: int, options: GenerationOptions) -> list[list[int]]:
    """Beam search. A row whose kept beams cannot be bettered leaves."""
    beams = _Beams.start(sequences, eos_token_id, options)
    inputs = beams.running.reshape(-1, sequences.shape[1])
    order = np.arange(len(inputs))
    for new_tokens in range(options.max_new_tokens):
        seen = beams.running.reshape(len(inputs), -1)
        scores = step(inputs, order)
        likeliest = _likeliest(scores, seen, new_tokens, 2 * options.num_beams, eos_token_id, options)
        order = beams.advance(*likeliest, last=new_tokens + 1 == options.max_new_tokens)
        if not len(order):
            break
        inputs = beams.running[:, :, -1].reshape(-1, 1)
    return beams.best()
