"""Beam search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blipvino.arrays import AnyArray, FloatArray, IntArray
from blipvino.runtime.decoding.choosing import Candidates, largest, likeliest
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.token_scores import Step

_EXCLUDED_SCORE = np.float32(-1e9)
"""Upstream's score of a beam that must not be chosen."""


def beam_search(
    step: Step, sequences: IntArray, eos_token_id: int, options: GenerationOptions
) -> list[tuple[list[int], list[float]]]:
    """Beam search. A row whose kept beams cannot be bettered leaves.

    Returns:
        Of each row the best beam's tokens, prompt included, and the log-probabilities of those that were generated.
    """
    beams = _Beams.start(sequences, eos_token_id, options)
    inputs = beams.running.reshape(-1, sequences.shape[1])
    order = np.arange(len(inputs))
    for new_tokens in range(options.max_new_tokens):
        seen = beams.running.reshape(len(inputs), -1)
        scores = step(inputs, order)
        found = likeliest(scores, seen, new_tokens, 2 * options.num_beams, eos_token_id, options)
        order = beams.advance(found, last=new_tokens + 1 == options.max_new_tokens)
        if not len(order):
            break
        inputs = beams.running[:, :, -1].reshape(-1, 1)
    return beams.best()


@dataclass
class _Beams:
    """Beam search over the rows that are still open, with ``n`` beams each; names follow upstream's.

    Running beams ``[B, n, length]`` are not closed yet, nor are their new tokens' log-probabilities under the model
    ``[B, n, new tokens]``; the best closed ones of every row that there was are kept as ``(score, tokens, log_probs)``.
    """

    running: IntArray
    running_scores: FloatArray
    running_log_probs: FloatArray
    rows: IntArray
    finished: list[list[tuple[np.float32, list[int], list[float]]]]
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
        log_probs = np.empty((rows, options.num_beams, 0), np.float32)
        finished: list[list[tuple[np.float32, list[int], list[float]]]] = [[] for _ in range(rows)]
        return cls(running, scores, log_probs, np.arange(rows), finished, length, eos_token_id, options)

    def advance(self, found: Candidates, last: bool) -> IntArray:
        """Take one step, with each beam's likeliest tokens, ``[B * n, count]``.

        Returns the next ``beam_idx``: the beams that go on, of the rows that go on.
        """
        rows, beams, length = self.running.shape
        count = found.ids.shape[-1]
        total = (found.scores.reshape(rows, beams, count) + self.running_scores[:, :, None]).reshape(rows, -1)
        top = largest(total, 2 * beams)
        scores = np.take_along_axis(total, top, axis=1)
        origin, tokens = top // count, np.take_along_axis(found.ids.reshape(rows, -1), top, axis=1)
        candidates = _longer(self.running, origin, tokens)
        log_probs = np.take_along_axis(found.log_probs.reshape(rows, -1), top, axis=1)
        log_probs = _longer(self.running_log_probs, origin, log_probs)
        closing = (tokens == self.eos_token_id) | last
        self._collect(candidates, log_probs, scores, closing)
        open_scores = scores + closing.astype(np.float32) * _EXCLUDED_SCORE
        keep = largest(open_scores, beams)
        self.running = np.take_along_axis(candidates, keep[:, :, None], axis=1)
        self.running_log_probs = np.take_along_axis(log_probs, keep[:, :, None], axis=1)
        self.running_scores = np.take_along_axis(open_scores, keep, axis=1)
        origin = np.take_along_axis(origin, keep, axis=1) + np.arange(rows)[:, None] * beams
        stay = self._improvable(length + 1 - self.prompt_length)
        self.running, self.running_log_probs = self.running[stay], self.running_log_probs[stay]
        self.running_scores, self.rows = self.running_scores[stay], self.rows[stay]
        return origin[stay].reshape(-1)

    def _collect(
        self, candidates: IntArray, log_probs: FloatArray, scores: FloatArray, closing: npt.NDArray[np.bool_]
    ) -> None:
        """Keep the best closed beams; only the ``n`` best candidates may close."""
        beams = self.options.num_beams
        penalized = scores / np.float32(log_probs.shape[2] ** self.options.length_penalty)
        for index, row in enumerate(self.rows):
            kept = self.finished[row]
            for place in np.flatnonzero(closing[index, :beams]):
                closed = candidates[index, place].tolist(), log_probs[index, place].tolist()
                kept.append((penalized[index, place], *closed))
            kept.sort(key=lambda beam: -beam[0])  # stable: the earlier one wins a tie, as upstream
            del kept[beams:]

    def _improvable(self, new_tokens: int) -> npt.NDArray[np.bool_]:
        """Upstream's heuristic (``early_stopping=False``): can the best running beam still beat the worst kept one?"""
        best = self.running_scores[:, 0] / np.float32(new_tokens**self.options.length_penalty)
        kept = [self.finished[row] for row in self.rows]
        worst = [beams[-1][0] if len(beams) == self.options.num_beams else _EXCLUDED_SCORE for beams in kept]
        return best > np.array(worst, np.float32)

    def best(self) -> list[tuple[list[int], list[float]]]:
        """The best closed beam of each row, and its log-probabilities."""
        return [kept[0][1:] for kept in self.finished]


def _longer(beams: AnyArray, origin: IntArray, last: AnyArray) -> AnyArray:
    """Beams ``[B, n, T]`` continued: of each row those that ``origin`` ``[B, m]`` names, each with a last one."""
    return np.concatenate([np.take_along_axis(beams, origin[:, :, None], axis=1), last[:, :, None]], axis=2)
