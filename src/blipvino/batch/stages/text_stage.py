"""Captions and answers of rows: the texts of several are generated side by side, those of one about one look."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from blipvino.batch.batch_rows import Task
from blipvino.batch.stages.row_at_work import RowAtWork
from blipvino.batch.work_plan import WorkPlan
from blipvino.errors import InputError
from blipvino.runtime.batches import AHEAD
from blipvino.runtime.blip import Blip
from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.results import Kind
from blipvino.runtime.scheduling.jobs import Caller, SharedImage, TextJob

_KINDS: dict[Task, Kind] = {"caption": "captions", "answer": "answers"}


@dataclass(frozen=True)
class _Begun:
    """A row whose texts are being made.

    Attributes:
        row: the row.
        captions: one job, or none.
        answers: a job a question; None where it cannot be asked.
    """

    row: RowAtWork
    captions: list[TextJob]
    answers: list[TextJob | None]

    @property
    def jobs(self) -> list[TextJob]:
        """All that are to be done."""
        return [*self.captions, *(job for job in self.answers if job is not None)]

    @property
    def is_done(self) -> bool:
        """Whether nothing has to be waited for."""
        return all(job.result.done() for job in self.jobs)


class TextStage:
    """Captions images and answers questions about them.

    Args:
        blip: the model.
        plan: of the job.

    Raises:
        InputError: the model or memory does not allow what is planned.
    """

    def __init__(self, blip: Blip, plan: WorkPlan) -> None:
        self._blip = blip
        self._plan = plan
        self._runner = blip.components.runner
        self._captions = "caption" in plan.tasks
        self._answers = "answer" in plan.tasks
        components, given = blip.components, dict(plan.text_work.generation)
        self._requests = {
            task: components.request(
                plan.text_work.prompt if task == "caption" else None, plan.batch_size, False, given
            )
            for task in _KINDS
        }
        self._forms = {
            task: components.form(kind, self._requests[task], True, True, plan.text_work.min_confidence)
            for task, kind in _KINDS.items()
        }
        self._check()

    def run(self, rows: Iterator[RowAtWork]) -> Iterator[RowAtWork]:
        """Give rows their captions and answers."""
        caller, ahead = Caller(self._plan.batch_size), AHEAD * self._plan.batch_size
        waiting: deque[_Begun] = deque()
        try:
            while True:
                # As many as there is room for at once, so that what begins together is decoded together.
                new = [self._begun(row, caller) for row in islice(rows, ahead - len(waiting))]
                waiting += new
                jobs = [job for begun in new for job in begun.jobs]
                if jobs:
                    self._blip.components.scheduler.submit(jobs)
                if not waiting:
                    break
                while waiting and (len(waiting) >= ahead or waiting[0].is_done or not new):
                    yield self._finished(waiting.popleft())
        finally:
            for begun in waiting:
                for job in begun.jobs:
                    job.result.cancel()

    def _begun(self, row: RowAtWork, caller: Caller) -> _Begun:
        image = None if row.image is None else row.image.texts
        if image is None:
            return _Begun(row, [], [])
        captions, answers = list[TextJob](), list[TextJob | None]()
        if self._captions:
            request = self._requests["caption"]
            captions.append(self._runner.caption_job(image, request, caller, self._rng(row, "caption")))
        for place, question in enumerate(row.questions if self._answers else ()):
            answers.append(self._asked(row, image, caller, place, question))
        return _Begun(row, captions, answers)

    def _asked(self, row: RowAtWork, image: SharedImage, caller: Caller, place: int, question: str) -> TextJob | None:
        rng = self._rng(row, f"answer {place}")
        try:
            tokens = self._blip.texts.question(question)
            return self._runner.answer_job(image, tokens, self._requests["answer"], caller, rng)
        except InputError as error:
            row.problems.append(str(error))
            return None

    def _finished(self, begun: _Begun) -> RowAtWork:
        row = begun.row
        for job in begun.captions:
            row.made |= self._columns("caption", job)
        if begun.answers:
            columns = [self._columns("answer", job) for job in begun.answers]
            row.made |= self._plan.columns.joined("answer", columns)
        times = [job.times for job in begun.jobs]
        began = [time.encoding for time in times if time.encoding is not None]
        done = [time.done for time in times if time.done is not None]
        if began and done:
            row.compute_ms += 1000 * (max(done) - min(began))
        return row

    def _columns(self, task: Task, job: TextJob | None) -> dict[str, object]:
        if job is None:
            return {}
        made = self._forms[task].result(job.result.result())
        assert isinstance(made, Generated)
        return {
            task: None if made.withheld else made.text,
            f"{task}_confidence": made.confidence,
            f"{task}_logprob": made.logprob,
            f"{task}_finish_reason": made.finish_reason,
        }

    def _rng(self, row: RowAtWork, what: str) -> np.random.Generator:
        """What a text draws depends on its row alone, and so neither on other rows nor on where a run was stopped."""
        seed = self._requests["caption"].options.seed
        digest = hashlib.sha256(f"{what} of {row.row.id}".encode("utf-8", "surrogatepass")).digest()
        return np.random.default_rng([seed or 0, int.from_bytes(digest[:16], "little")])

    def _check(self) -> None:
        """Refuse before the first row what the model or memory does not allow."""
        if self._captions:
            self._runner.caption_stream(iter(()), self._requests["caption"]).close()
        if self._answers:
            self._runner.answer_stream(iter(()), self._requests["answer"]).close()
