"""Texts while they are decoded: their source bound to the decoder's graph, rows that leave, and rows that branch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import openvino as ov

from blipvino.arrays import FloatArray, IntArray
from blipvino.graphs.joining import PAST_START
from blipvino.runtime.decoding.cross_kv import CrossKV
from blipvino.runtime.decoding.token_scores import Scores


class Decoding:
    """Steps of the decoder over ``B`` sources, each with the same number of rows (its beams).

    When `beam_idx` names fewer rows than there were, the others have left: the last sources move into the gaps, so
    that what is computed and read in a step is only what is still needed.

    Args:
        source: keys and values; overwritten as rows leave.
        source_mask: int64 ``[B, S]``.
        find_request: the graph's request for one row and one token at a time (True), or for any number (False).
    """

    def __init__(self, source: CrossKV, source_mask: IntArray, find_request: Callable[[bool], ov.InferRequest]) -> None:
        self._source = source
        self._mask = source_mask.copy()
        self._find_request = find_request
        self._request: ov.InferRequest | None = None
        self._places = np.arange(source.batch)  # where each source that is still decoded lies
        self._rows = np.arange(0)  # the graph's row of each of the caller's rows, in the step before
        self._beams = 1
        self._past = 0

    def step(self, input_ids: IntArray, beam_idx: IntArray) -> Scores:
        """See `blipvino.runtime.decoding.token_scores.Step`."""
        if self._request is None:
            self._start(len(input_ids))
        if len(beam_idx) < len(self._rows):
            self._keep(beam_idx[:: self._beams] // self._beams)
        rows = (self._places[:, None] * self._beams + np.arange(self._beams)).reshape(-1)
        order = np.argsort(rows)
        parents = self._rows[beam_idx][order]
        self._rows = rows
        if self._single:
            for token in range(input_ids.shape[1]):
                self._infer(input_ids[:, token : token + 1], parents)
        else:
            self._infer(input_ids[order], parents)
        return self._scores(rows)

    def _start(self, rows: int) -> None:
        self._single = rows == 1
        self._beams = rows // self._source.batch
        self._rows = np.arange(rows)
        self._request = self._find_request(self._single)
        self._request.reset_state()
        self._bind(len(self._places))

    def _keep(self, staying: IntArray) -> None:
        """Go on with these sources alone, moved to the front."""
        places, count = self._places[staying], len(staying)
        gaps = iter(sorted(set(range(count)) - set(places.tolist())))
        for index in np.flatnonzero(places >= count):
            gap = next(gaps)
            self._source.move(int(places[index]), gap)
            self._mask[gap] = self._mask[places[index]]
            places[index] = gap
        self._places = places
        self._bind(count)

    def _bind(self, count: int) -> None:
        assert self._request is not None
        self._source[:count].bind(self._request)
        self._request.set_tensor("source_mask", ov.Tensor(self._mask[:count].copy()))

    def _infer(self, input_ids: IntArray, parents: IntArray) -> None:
        assert self._request is not None
        _infer(self._request, input_ids, parents, self._past)
        self._past += input_ids.shape[1]

    def _scores(self, rows: IntArray) -> Scores:
        """The step's outputs in the caller's order; copies, but for the logits, which are copied when asked for."""
        request = self._request
        assert request is not None
        top_ids, top_logits, normalizer = (
            request.get_tensor(name).data[rows] for name in ("top_ids", "top_logits", "log_normalizer")
        )
        return Scores(top_ids, top_logits, normalizer, lambda some: request.get_tensor("logits").data[some], rows)


class Branching:
    """Steps of the decoder over one source, in which a row may be continued by several.

    Args:
        source: keys and values of one source.
        source_mask: int64 ``[1, S]``.
        request: of the graph for any number of rows; its state is this object's until another one starts.
        turn: entered for each step.
    """

    def __init__(
        self,
        source: CrossKV,
        source_mask: IntArray,
        request: ov.InferRequest,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._request = request
        self._turn = turn
        source.bind(request)
        request.set_tensor("source_mask", ov.Tensor(source_mask.copy()))
        self.restart()

    def restart(self) -> None:
        """Go back to before the first step."""
        self._request.reset_state()
        self._past = 0

    def step(self, input_ids: IntArray, beam_idx: IntArray) -> None:
        """Continue rows: ``input_ids`` ``[R, T]``, and ``beam_idx`` ``[R]``, which names rows of the step before.

        In the first step, ``beam_idx`` is zeros.
        """
        with self._turn():
            _infer(self._request, input_ids, beam_idx, self._past)
        self._past += input_ids.shape[1]

    def log_probs(self, rows: IntArray, tokens: IntArray) -> FloatArray:
        """Log-probabilities ``[N]`` of tokens ``[N]`` as the next ones of rows ``[N]`` of the last step."""
        logits, normalizer = (self._request.get_tensor(name).data for name in ("logits", "log_normalizer"))
        return logits[rows, tokens] - normalizer[rows, 0]


def _infer(request: ov.InferRequest, input_ids: IntArray, parents: IntArray, past: int) -> None:
    """Run the graph on the next tokens ``[R, T]`` of rows that have ``past`` ones behind them."""
    positions = np.broadcast_to(np.arange(past, past + input_ids.shape[1]), input_ids.shape)
    request.set_tensor("input_ids", ov.Tensor(np.ascontiguousarray(input_ids)))
    request.set_tensor("position_ids", ov.Tensor(np.ascontiguousarray(positions)))
    request.set_tensor("beam_idx", ov.Tensor(parents.astype(np.int32)))
    if joinable(request):
        request.set_tensor(PAST_START, ov.Tensor(np.zeros(len(parents), np.int64)))
    request.infer(share_outputs=True)


def joinable(request: ov.InferRequest) -> bool:
    """Whether rows may join at any step: the graph asks where each one's past begins."""
    return any(PAST_START in port.get_names() for port in request.model_inputs)
