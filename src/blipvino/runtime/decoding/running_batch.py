"""A decoding batch that never ends: texts join and leave it at any step, each with a past of its own length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import openvino as ov

from blipvino.arrays import IntArray
from blipvino.graphs.joining import PAST_START
from blipvino.runtime.decoding.cross_kv import CrossKV, empty_cross_kv
from blipvino.runtime.decoding.steps import joinable
from blipvino.runtime.decoding.token_scores import Inputs, Scores

LONGEST_DEAD_PAST = 64
"""Positions that nobody sees any more, and that are remembered all the same: forgetting them copies all the others."""


@dataclass(eq=False)
class Seat:
    """The place of one text in a batch.

    Attributes:
        place: of its source among the batch's.
        past_start: the first remembered position that is its own; -1 before its first step.
        first_row: of its rows, in the step before.
        tokens: what its rows are to be given, ``[n, T]``, token after token.
        parents: which of its rows in the step before each row continues, ``[n]``.
    """

    place: int
    past_start: int = -1
    first_row: int = 0
    tokens: IntArray = field(default_factory=lambda: np.empty((0, 0), np.int64))
    parents: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def give(self, inputs: Inputs) -> None:
        """What the next steps are to be given."""
        self.tokens, self.parents = inputs.tokens, inputs.parents


class RunningBatch:
    """Texts of equally many rows (beams) over sources of equally many positions, decoded together.

    Keys and values of the sources lie side by side in memory that the decoder reads, without gaps: when a text leaves,
    the last one moves into its place. The decoder remembers all rows' own keys and values as one block; rows that
    joined later are told what of it is not theirs (`blipvino.graphs.joining`).

    Args:
        request: of the decoder, this object's alone; of a graph that rows may join, or of one for a single row.
        source_ports: outputs of the graph that makes the sources' keys and values.
        positions: of every source.
        beams: rows of every text.
    """

    def __init__(self, request: ov.InferRequest, source_ports: Sequence[ov.Output], positions: int, beams: int) -> None:
        self._request = request
        self._ports = source_ports
        self._positions = positions
        self._beams = beams
        self._joinable = joinable(request)
        self._seats: list[Seat] = []  # by place
        self._past = 0
        self._bound = 0
        self._sources, self._masks = CrossKV({}), np.empty((0, positions), np.int64)
        self._reserve(1)

    def __len__(self) -> int:
        """Texts that are in it."""
        return len(self._seats)

    @property
    def nbytes(self) -> int:
        """Bytes of the sources' keys and values."""
        return self._sources.nbytes

    def join(self, project: Callable[[CrossKV], None], source_masks: IntArray, inputs: Sequence[Inputs]) -> list[Seat]:
        """Let texts begin.

        Args:
            project: writes the keys and values of all their sources into the memory that it is given.
            source_masks: int64 ``[N, S]``, ones where a source may be attended to.
            inputs: the prompt of each.
        """
        first = len(self._seats)
        places = slice(first, first + len(inputs))
        self._reserve(places.stop)
        project(self._sources[places])
        self._masks[places] = source_masks
        self._bound = 0  # the masks have changed
        seats = [Seat(place) for place in range(places.start, places.stop)]
        for seat, given in zip(seats, inputs, strict=True):
            seat.give(given)
        self._seats += seats
        return seats

    def leave(self, seat: Seat) -> None:
        """Let a text end."""
        last = self._seats.pop()
        if last is not seat:
            self._sources.move(last.place, seat.place)
            self._masks[seat.place] = self._masks[last.place]
            self._seats[seat.place] = last
            last.place = seat.place
            self._bound = 0  # the masks have changed

    def step(self) -> list[tuple[Seat, Scores]]:
        """Run the decoder once over all texts.

        Returns:
            Those whose tokens have all been given, which are to be given new ones or leave, with their scores: valid
            until the next step. A prompt takes as many steps as it has tokens, unless all texts begin at once.
        """
        tokens = self._begin()
        self._bind()
        self._infer(tokens)
        for number, seat in enumerate(self._seats):
            seat.first_row = number * self._beams
            seat.tokens, seat.parents = seat.tokens[:, tokens:], np.arange(self._beams)
        self._past += tokens
        return [(seat, self._scores(seat)) for seat in self._seats if not seat.tokens.shape[1]]

    def _begin(self) -> int:
        """Let texts that joined begin here, and tell how many tokens all are given."""
        at_once = all(seat.past_start < 0 for seat in self._seats)
        if at_once:
            self._request.reset_state()
            self._past = 0
        else:
            self._forget()
        for seat in self._seats:
            if seat.past_start < 0:
                # What its rows are said to continue does not matter, for they do not see it.
                seat.past_start, seat.first_row, seat.parents = self._past, 0, np.zeros(self._beams, np.int64)
        lengths = {seat.tokens.shape[1] for seat in self._seats}
        return lengths.pop() if at_once and self._joinable and len(lengths) == 1 else 1

    def _forget(self) -> None:
        """Cut off what nobody sees any more, once that is worth its price."""
        dead = min(seat.past_start for seat in self._seats if seat.past_start >= 0)
        if dead < LONGEST_DEAD_PAST:
            return
        for state in self._request.query_state():
            state.state = ov.Tensor(np.ascontiguousarray(state.state.data[:, :, dead:]))
        self._past -= dead
        for seat in self._seats:
            if seat.past_start >= 0:
                seat.past_start -= dead

    def _bind(self) -> None:
        if self._bound != len(self._seats):
            self._bound = len(self._seats)
            self._sources[: self._bound].bind(self._request)
            self._request.set_tensor("source_mask", ov.Tensor(self._masks[: self._bound].copy()))

    def _infer(self, tokens: int) -> None:
        starts = np.repeat([seat.past_start for seat in self._seats], self._beams)
        positions = (self._past - starts)[:, None] + np.arange(tokens)
        given = {
            "input_ids": np.concatenate([seat.tokens[:, :tokens] for seat in self._seats]),
            "position_ids": positions,
            "beam_idx": np.concatenate([seat.first_row + seat.parents for seat in self._seats]).astype(np.int32),
        }
        if self._joinable:
            given[PAST_START] = starts
        for name, array in given.items():
            self._request.set_tensor(name, ov.Tensor(np.ascontiguousarray(array)))
        self._request.infer(share_outputs=True)

    def _scores(self, seat: Seat) -> Scores:
        """The step's outputs for a text; copies, but for the logits, which are copied when asked for."""
        request = self._request
        rows = np.arange(seat.first_row, seat.first_row + self._beams)
        top_ids, top_logits, normalizer = (
            request.get_tensor(name).data[rows] for name in ("top_ids", "top_logits", "log_normalizer")
        )
        return Scores(top_ids, top_logits, normalizer, lambda some: request.get_tensor("logits").data[some], rows)

    def _reserve(self, places: int) -> None:
        """Have memory for so many texts; those that are there are kept."""
        if places <= len(self._masks):
            return
        places = max(places, 2 * len(self._seats))
        sources = empty_cross_kv(self._ports, places, self._positions)
        masks = np.zeros((places, self._positions), np.int64)
        if self._seats:
            sources[: len(self._seats)].copy(self._sources[: len(self._seats)])
            masks[: len(self._seats)] = self._masks[: len(self._seats)]
        self._sources, self._masks, self._bound = sources, masks, 0
