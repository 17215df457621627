"""Rankings of given answers to the questions of rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from blipvino.batch.stages.row_at_work import RowAtWork
from blipvino.batch.work_plan import RANKED, WorkPlan
from blipvino.errors import InputError
from blipvino.runtime.blip import Blip
from blipvino.runtime.decoding.ranking import AnswerList, Ranking
from blipvino.runtime.features import ImageFeatures


@dataclass(frozen=True)
class _Asked:
    """One question of a row.

    Attributes:
        row: that it is of.
        place: among the row's questions.
        features: of its image.
        question: the text.
    """

    row: RowAtWork
    place: int
    features: ImageFeatures
    question: str


class RankingStage:
    """Ranks the plan's answers to each question, batch after batch; an image that was captioned is not looked at again.

    Args:
        blip: the model.
        plan: of the job.

    Raises:
        InputError: an answer is not allowed.
    """

    def __init__(self, blip: Blip, plan: WorkPlan) -> None:
        self._blip = blip
        self._plan = plan
        self._answers = AnswerList(plan.text_work.answers, blip.texts)

    def run(self, rows: Iterator[RowAtWork]) -> Iterator[RowAtWork]:
        """Give rows their rankings."""
        while batch := list(islice(rows, self._plan.batch_size)):
            began = time.perf_counter()
            readable = [row for row in batch if row.image is not None]
            self._look(readable)
            asked = [asked for row in readable for asked in self._asked(row)]
            self._rank(asked)
            for row in readable:
                row.compute_ms += 1000 * (time.perf_counter() - began)
            yield from batch

    def _look(self, rows: list[RowAtWork]) -> None:
        """Have features of all images: those without texts were not looked at yet."""
        images = dict.fromkeys(row.image.texts for row in rows if row.image is not None and row.image.texts is not None)
        unknown = [(image, image.pixels) for image in images if image.pixels is not None]
        made = self._blip.extractor.encode([pixels for _, pixels in unknown]) if unknown else []
        for (image, _), features in zip(unknown, made, strict=True):
            image.seen = features

    def _asked(self, row: RowAtWork) -> Iterator[_Asked]:
        """The questions that can be asked; what is wrong with others is told of the row."""
        assert row.image is not None and row.image.texts is not None
        features = row.image.texts.features
        assert features is not None
        for place, question in enumerate(row.questions):
            try:
                self._blip.texts.question(question)
            except InputError as error:
                if str(error) not in row.problems:
                    row.problems.append(str(error))
            else:
                yield _Asked(row, place, features, question)

    def _rank(self, asked: list[_Asked]) -> None:
        if not asked:
            return
        least, size = self._plan.text_work.min_confidence, self._plan.batch_size
        images, questions = [one.features for one in asked], [one.question for one in asked]
        rankings = self._blip.rank(images, questions, self._answers, batch_size=size)
        made: dict[int, list[dict[str, object]]] = {}
        for one, ranking in zip(asked, rankings, strict=True):
            columns = made.setdefault(id(one.row), [{} for _ in one.row.questions])
            columns[one.place] = _columns(ranking, least)
        for one in asked:
            one.row.made |= self._plan.columns.joined("rank", made[id(one.row)])


def _columns(ranking: Ranking, least: float) -> dict[str, object]:
    return {
        "ranked_answer": None if ranking.confidence < least else ranking.answer,
        "ranked_confidence": ranking.confidence,
        "ranked_answers": list(ranking.answers[:RANKED]),
        "ranked_logprobs": list(ranking.log_likelihoods[:RANKED]),
    }
