"""The texts that are being decoded, in batches of those that go together."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from blipvino.errors import BlipvinoError
from blipvino.runtime.decoding.generation import one_text
from blipvino.runtime.decoding.running_batch import RunningBatch, Seat
from blipvino.runtime.decoding.token_scores import Scores, TextSteps
from blipvino.runtime.engine import Engine
from blipvino.runtime.scheduling.jobs import TextJob, TextKind


@dataclass(frozen=True)
class _Key:
    """What texts of one batch have in common.

    Attributes:
        positions: of their sources, padded.
        beams: of each.
        alone: whether the batch is of a graph for a single row.
    """

    positions: int
    beams: int
    alone: bool


@dataclass(eq=False)
class _Text:
    """A text that is being decoded."""

    job: TextJob
    search: TextSteps
    batch: RunningBatch
    seat: Seat
    tokens: list[int] = field(default_factory=list)


class JobDecoder:
    """Decodes jobs; one thread's alone.

    Args:
        engine: with the decoder's graphs.
        eos_token_id: the token that closes a text.
    """

    def __init__(self, engine: Engine, eos_token_id: int) -> None:
        self._engine = engine
        self._eos_token_id = eos_token_id
        self._batches: dict[_Key, RunningBatch] = {}
        self._texts: dict[Seat, _Text] = {}
        self._spent: dict[RunningBatch, float] = {}

    @property
    def rows(self) -> int:
        """Rows that are being decoded."""
        return sum(job.options.num_beams for job in self.jobs)

    @property
    def jobs(self) -> list[TextJob]:
        """That are being decoded; other threads may ask for them, too."""
        return [text.job for text in list(self._texts.values())]

    def begin(self, jobs: Sequence[TextJob], *, alone: bool = False) -> None:
        """Begin jobs' texts; what goes wrong is their result.

        Args:
            jobs: with their sources.
            alone: whether there is one, and nothing else is to be expected meanwhile: then a graph for one row is
                faster.
        """
        together: dict[_Key, list[TextJob]] = {}
        for job in jobs:
            together.setdefault(self._key(job, alone and job.options.num_beams == 1), []).append(job)
        for key, those in together.items():
            try:
                self._join(key, those)
            except (BlipvinoError, RuntimeError) as error:  # the latter OpenVINO's
                for job in those:
                    job.fail(error)

    def _join(self, key: _Key, jobs: Sequence[TextJob]) -> None:
        batch = self._batch(key)
        searches = [one_text(job.prompt, job.rng, self._eos_token_id, job.options) for job in jobs]
        sources = [job.source for job in jobs if job.source is not None]
        states, masks = [source.states for source in sources], [source.mask for source in sources]
        project, padded = self._engine.projection(states, masks, key.positions, alone=key.alone)
        seats = batch.join(project, padded, [next(search) for search in searches])
        for job, search, seat in zip(jobs, searches, seats, strict=True):
            job.caller.decoded += 1
            self._texts[seat] = _Text(job, search, batch, seat)

    def next_batch(self, kinds: Collection[TextKind]) -> RunningBatch | None:
        """The batch that is most urgent, and among several the one that had the least time.

        So a short answer does not wait for a long caption, nor captions for ever where answers do not end.

        Args:
            kinds: of texts that may take a step.
        """
        due = [text for text in self._texts.values() if text.job.kind in kinds]
        if not due:
            return None
        for batch in self._batches.values():
            if all(text.batch is not batch for text in due):  # it has no claim to the time that others have meanwhile
                self._spent[batch] = max([self._spent[batch], *(self._spent[text.batch] for text in due)])
        urgent = max(text.job.priority for text in due)
        return min((text.batch for text in due if text.job.priority == urgent), key=lambda batch: self._spent[batch])

    def step(self, batch: RunningBatch) -> int:
        """Take one step with a batch.

        Returns:
            The rows that took it.
        """
        rows = sum(text.job.options.num_beams for text in self._texts.values() if text.batch is batch)
        begun = time.monotonic()
        self._step(batch)
        self._spent[batch] += time.monotonic() - begun
        return rows

    def captions(self, batch: RunningBatch) -> bool:
        """Whether a batch is of captions."""
        return any(text.batch is batch and text.job.kind.captions for text in self._texts.values())

    def end(self, job: TextJob) -> None:
        """Let a job go, wherever it is in its text; its result stays as it is."""
        for text in self._texts.values():
            if text.job is job:
                self._leave(text)
                return

    def _step(self, batch: RunningBatch) -> None:
        try:
            done = batch.step()
        except RuntimeError as error:  # OpenVINO's: of memory, for one
            for text in [text for text in self._texts.values() if text.batch is batch]:
                self._leave(text)
                text.job.fail(error)
            return
        for seat, scores in done:
            self._advance(self._texts[seat], scores)

    def clear(self) -> None:
        """Let all jobs go, and forget the batches that they were in."""
        for text in list(self._texts.values()):
            text.job.caller.decoded -= 1
        self._texts.clear()
        self._batches.clear()
        self._spent.clear()

    def _advance(self, text: _Text, scores: Scores) -> None:
        try:
            inputs = text.search.send(scores)
            text.seat.give(inputs)
            if text.job.heard is not None and len(inputs.tokens) == 1:
                text.tokens += inputs.tokens[0].tolist()
                text.job.heard([*text.job.prompt, *text.tokens])
        except StopIteration as end:
            self._leave(text)
            text.job.finish(end.value)
        except Exception as error:  # whatever it is, be it of who hears: it is of this text alone
            self._leave(text)
            text.job.fail(error)

    def _leave(self, text: _Text) -> None:
        text.batch.leave(text.seat)
        del self._texts[text.seat]
        text.job.caller.decoded -= 1

    def _key(self, job: TextJob, alone: bool) -> _Key:
        assert job.source is not None
        positions = self._engine.source_positions(len(job.source.states))
        return _Key(positions, job.options.num_beams, alone)

    def _batch(self, key: _Key) -> RunningBatch:
        if key not in self._batches:
            self._batches[key] = self._engine.running_batch(key.positions, key.beams, alone=key.alone)
            self._spent[self._batches[key]] = 0.0
        return self._batches[key]
