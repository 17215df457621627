"""Beam search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from blipvino.arrays import AnyArray, FloatArray, IntArray
from blipvino.runtime.decoding.choosing import Candidates, largest, likeliest
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.decoding.token_scores import Inputs, TextSteps

_EXCLUDED_SCORE = np.float32(-1e9)
"""Upstream's score of a beam that must not be chosen."""


def beam_search(prompt: Sequence[int], eos_token_id: int, options: GenerationOptions) -> TextSteps:
    """Beam search for one text; see `TextSteps`. It ends as soon as the kept beams cannot be bettered.

    Args:
        prompt: token ids that it begins with.
        eos_token_id: the token that closes a text.
        options: how to choose tokens.
    """
    beams = _Beams.start(prompt, eos_token_id, options)
    inputs = Inputs(beams.running, np.arange(options.num_beams))
    for new_tokens in range(options.max_new_tokens):
        scores = yield inputs
        found = likeliest(scores, beams.running, new_tokens, 2 * options.num_beams, eos_token_id, options)
        parents = beams.advance(found, last=new_tokens + 1 == options.max_new_tokens)
        if not beams.improvable:
            break
        inputs = Inputs(beams.running[:, -1:], parents)
    return beams.best()


@dataclass(frozen=True)
class _Closed:
    """A beam that closed, or that the end cut off."""

    score: np.float32
    tokens: list[int]
    log_probs: list[float]


@dataclass
class _Beams:
    """The ``n`` beams of one text; names follow upstream's.

    Running beams ``[n, length]`` are not closed yet, nor are their new tokens' log-probabilities under the model
    ``[n, new tokens]``; the best closed ones are kept.
    """

    running: IntArray
    running_scores: FloatArray
    running_log_probs: FloatArray
    prompt_length: int
    eos_token_id: int
    options: GenerationOptions
    finished: list[_Closed] = field(default_factory=list)

    @classmethod
    def start(cls, prompt: Sequence[int], eos_token_id: int, options: GenerationOptions) -> _Beams:
        """All beams hold the prompt; only the first counts, so that they do not all say the same."""
        running = np.tile(np.array(prompt, np.int64), (options.num_beams, 1))
        scores = np.full(options.num_beams, _EXCLUDED_SCORE, np.float32)
        scores[0] = 0
        log_probs = np.empty((options.num_beams, 0), np.float32)
        return cls(running, scores, log_probs, len(prompt), eos_token_id, options)

    def advance(self, found: Candidates, last: bool) -> IntArray:
        """Take one step, with each beam's likeliest tokens, ``[n, count]``.

        Returns which beam each of the next ones continues.
        """
        beams, count = found.ids.shape
        total = (found.scores + self.running_scores[:, None]).reshape(1, -1)
        top = largest(total, 2 * self.options.num_beams)[0]
        scores, origin, tokens = total[0, top], top // count, found.ids.reshape(-1)[top]
        candidates = _longer(self.running, origin, tokens)
        log_probs = _longer(self.running_log_probs, origin, found.log_probs.reshape(-1)[top])
        closing = (tokens == self.eos_token_id) | last
        self._collect(candidates, log_probs, scores, closing)
        open_scores = scores + closing.astype(np.float32) * _EXCLUDED_SCORE
        keep = largest(open_scores[None], beams)[0]
        self.running, self.running_log_probs = candidates[keep], log_probs[keep]
        self.running_scores = open_scores[keep]
        return origin[keep]

    def _collect(
        self, candidates: IntArray, log_probs: FloatArray, scores: FloatArray, closing: npt.NDArray[np.bool_]
    ) -> None:
        """Keep the best closed beams; only the ``n`` best candidates may close."""
        beams = self.options.num_beams
        penalized = scores / np.float32(log_probs.shape[1] ** self.options.length_penalty)
        for place in np.flatnonzero(closing[:beams]):
            self.finished.append(_Closed(penalized[place], candidates[place].tolist(), log_probs[place].tolist()))
        self.finished.sort(key=lambda beam: -beam.score)  # stable: the earlier one wins a tie, as upstream
        del self.finished[beams:]

    @property
    def improvable(self) -> bool:
        """Upstream's heuristic (``early_stopping=False``): can the best running beam still beat the worst kept one?"""
        new_tokens = self.running.shape[1] - self.prompt_length
        best = self.running_scores[0] / np.float32(new_tokens**self.options.length_penalty)
        full = len(self.finished) == self.options.num_beams
        return bool(best > (self.finished[-1].score if full else _EXCLUDED_SCORE))

    def best(self) -> GeneratedTokens:
        """The best closed beam."""
        best = self.finished[0]
        if best.tokens[-1] == self.eos_token_id and len(best.tokens) > self.prompt_length:
            return GeneratedTokens.of(best.tokens[:-1], "stop", best.log_probs)
        return GeneratedTokens.of(best.tokens, "length", best.log_probs)


def _longer(beams: AnyArray, origin: IntArray, last: AnyArray) -> AnyArray:
    """Beams ``[n, T]`` continued: those that ``origin`` ``[m]`` names, each with a last one."""
    return np.concatenate([beams[origin], last[:, None]], axis=1)
