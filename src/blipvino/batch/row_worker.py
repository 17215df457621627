"""What a plan says, done to rows: one worker a process."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TypeVar

from blipvino.batch.batch_rows import InputRow, OutputRow
from blipvino.batch.row_columns import RowColumns
from blipvino.batch.rows_until_failure import RowsUntilFailure
from blipvino.batch.stages.embedding_stage import EmbeddingStage
from blipvino.batch.stages.ranking_stage import RankingStage
from blipvino.batch.stages.row_at_work import ReadImage, RowAtWork, Stage
from blipvino.batch.stages.row_reader import Read, RowReader
from blipvino.batch.stages.text_stage import TextStage
from blipvino.batch.work_plan import PlannedModel, WorkPlan
from blipvino.errors import BundleError
from blipvino.runtime.blip import Blip
from blipvino.runtime.loaded_model import LoadedModel
from blipvino.runtime.retriever import BlipRetriever

Model = TypeVar("Model", bound=LoadedModel)
_AHEAD = 2
"""Times a batch: rows whose images are read before their turn."""


class RowWorker:
    """Makes rows of captions, answers, rankings and embeddings. It holds compiled graphs, and cannot be pickled.

    Args:
        plan: what to make.

    Raises:
        BundleError: a bundle cannot be loaded, or is another than was planned with.
        InputError: a model or memory does not allow what is planned.
    """

    def __init__(self, plan: WorkPlan) -> None:
        plan = plan.seeded()
        self._plan = plan
        self._model = plan.fingerprint
        self._blip = None if plan.texts is None else _loaded(Blip, plan.texts, plan)
        self._retriever = None if plan.embeddings is None else _loaded(BlipRetriever, plan.embeddings, plan)
        self._stages = self._planned_stages()

    @property
    def columns(self) -> RowColumns:
        """Of the rows that it makes."""
        return self._plan.columns

    def run(self, rows: Iterator[InputRow]) -> Generator[OutputRow]:
        """Work on rows one after the other, and give each in its turn. A row that cannot be done has an ``error``.

        Images are read, and rows worked on, ahead: three or four batches are held, however many rows there are. Close
        it to stop early.

        Raises:
            BlipvinoError: the rows cannot be read on, a store gives no image at all, or a model cannot go on, whatever
                the row.
        """
        texts = None if self._blip is None else self._blip.images
        embeddings = None if self._retriever is None else self._retriever.images
        with closing(RowReader(rows, texts, embeddings, _AHEAD * self._plan.batch_size)) as reader:
            read = RowsUntilFailure(reader)
            yield from self.work(read)
        if read.failure is not None:
            raise read.failure

    def work(self, rows: Iterator[tuple[InputRow, Read]]) -> Generator[OutputRow]:
        """The same to rows whose images are read already. Several threads may call it: what they give is done side by
        side.

        Raises:
            BlipvinoError: a model cannot go on, whatever the row.
        """
        at_work: Iterator[RowAtWork] = (self._begun(row, found) for row, found in rows)
        for stage in self._stages:
            at_work = stage.run(at_work)
        for row in at_work:
            yield self._finished(row)

    def close(self) -> None:
        """End the threads that generate texts; those that are not done are given up."""
        for model in (self._blip, self._retriever):
            if model is not None:
                model.components.scheduler.close()

    def _planned_stages(self) -> list[Stage]:
        plan, stages = self._plan, list[Stage]()
        if self._blip is not None:
            if "caption" in plan.tasks or "answer" in plan.tasks:
                stages.append(TextStage(self._blip, plan))
            if "rank" in plan.tasks:
                stages.append(RankingStage(self._blip, plan))
        if self._retriever is not None:
            stages.append(EmbeddingStage(self._retriever, plan.batch_size))
        return stages

    def _begun(self, row: InputRow, found: ReadImage | Exception) -> RowAtWork:
        asks = "answer" in self._plan.tasks or "rank" in self._plan.tasks
        questions = self._plan.text_work.questions if row.question is None else (row.question,)
        problems = list[str]()
        if asks and not questions:
            problems.append(f"{row.id}: there is no question to ask: neither this row nor the job has one")
        if isinstance(found, Exception):
            return RowAtWork(row, questions if asks else (), None, problems=[str(found)])
        return RowAtWork(row, questions if asks else (), found, problems=problems)

    def _finished(self, row: RowAtWork) -> OutputRow:
        asked: str | tuple[str, ...] | None = row.questions or None
        if asked is not None and not self.columns.several_questions:
            asked = row.questions[0]
        return OutputRow(
            row.row.id,
            row.row.location,
            asked,
            row.made,
            read_ms=0.0 if row.image is None else row.image.milliseconds,
            compute_ms=row.compute_ms,
            error="; ".join(row.problems) or None,
            model=self._model,
        )


def _loaded(kind: type[Model], planned: PlannedModel, plan: WorkPlan) -> Model:
    model = kind.load(planned.folder, options=plan.engine)
    if not planned.is_like(model.bundle):
        raise BundleError(f"{planned.folder}: this is another bundle than the job was planned with; give all the same")
    return model
