"""Result files of the VQAv2 and COCO caption challenges: answers by question, captions by image.

The formats are described at https://visualqa.org/evaluation.html (``[{"question_id": int, "answer": str}]``) and
https://cocodataset.org/#format-results (``[{"image_id": int, "caption": str}]``). An image of a source whose ids are
texts, such as a folder, keeps its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blipvino.errors import DataError
from blipvino.files.atomic import write_text
from blipvino.files.sample_files import member, read_json_list
from blipvino.measure.evaluation.predictions import Prediction, TextScore


@dataclass(frozen=True)
class Texts:
    """What a model says: answers by question id, captions by image id; and how likely it finds them.

    Scores are those of predictions; result files have none.
    """

    answers: Mapping[int, str] = field(default_factory=dict)
    captions: Mapping[int | str, str] = field(default_factory=dict)
    answer_scores: Mapping[int, TextScore] = field(default_factory=dict)
    caption_scores: Mapping[int | str, TextScore] = field(default_factory=dict)

    @classmethod
    def of(cls, predictions: Iterable[Prediction]) -> Texts:
        """The texts of predictions."""
        listed = list(predictions)
        answers = {one.question_id: one.answer for prediction in listed for one in prediction.answers}
        captions = {one.image_id: one.caption for one in listed if one.caption is not None}
        scored = {one.question_id: one.score for prediction in listed for one in prediction.answers if one.score}
        return cls(answers, captions, scored, {one.image_id: one.caption_score for one in listed if one.caption_score})


def write_results(texts: Texts, folder: Path, name: str) -> None:
    """Write ``answers-NAME.json`` and ``captions-NAME.json``; neither where there are none.

    Raises:
        OutputError: a file cannot be written.
    """
    if texts.answers:
        records = [{"question_id": question, "answer": answer} for question, answer in texts.answers.items()]
        write_text(folder / f"answers-{name}.json", json.dumps(records, ensure_ascii=False))
    if texts.captions:
        records = [{"image_id": image, "caption": caption} for image, caption in texts.captions.items()]
        write_text(folder / f"captions-{name}.json", json.dumps(records, ensure_ascii=False))


def read_results(path: Path) -> Texts:
    """Read a result file, of answers or of captions.

    Raises:
        DataError: it cannot be read, is of another format, is empty, or says two things of one question or image.
    """
    records = read_json_list(path)
    if not records:
        raise DataError(f"{path}: an empty list; expected answers or captions")
    if isinstance(records[0], dict) and "question_id" in records[0]:
        return Texts(answers=dict(_unique(path, [_answer(path, *one) for one in enumerate(records)])))
    return Texts(captions=dict(_unique(path, [_caption(path, *one) for one in enumerate(records)])))


def _answer(path: Path, number: int, record: Any) -> tuple[int, str]:
    where = f"{path}: [{number}]"
    return member(record, "question_id", int, where), member(record, "answer", str, where)


def _caption(path: Path, number: int, record: Any) -> tuple[int | str, str]:
    where = f"{path}: [{number}]"
    named = isinstance(record, dict) and isinstance(record.get("image_id"), str)
    image_id: int | str = member(record, "image_id", str, where) if named else member(record, "image_id", int, where)
    return image_id, member(record, "caption", str, where)


def _unique(path: Path, pairs: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
    seen: set[Any] = set()
    for key, _ in pairs:
        if key in seen:
            raise DataError(f"{path}: {key!r} comes twice; expected one text for each")
        seen.add(key)
    return pairs
