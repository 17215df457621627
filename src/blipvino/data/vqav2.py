"""VQAv2: its questions and annotations JSON with COCO's images, read and written.

The formats are described at https://visualqa.org/vqa_v1_download.html ("Input Questions Format" and "Annotation
Format"; version 2 kept them), the image names at https://cocodataset.org/#download.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from blipvino.data.coco import image_stem, integer_id
from blipvino.data.samples import Question, Sample, shuffled
from blipvino.errors import DataError
from blipvino.files.sample_files import load_image, member, read_json, require_file, require_folder, write_json

IMAGE_SUFFIXES = (".jpg", ".png")


@dataclass(frozen=True)
class Vqav2Source:
    """VQAv2's official files.

    Attributes:
        questions: Such as ``v2_OpenEnded_mscoco_val2014_questions.json``.
        images: The folder of ``COCO_val2014_000000000042.jpg`` files; ``000000000042.jpg`` and ``.png`` will do too.
        annotations: Such as ``v2_mscoco_val2014_annotations.json``. Without it the questions have no answers.

    Raises:
        DataError: A file or the folder does not exist.
    """

    questions: Path
    images: Path
    annotations: Path | None = None

    def __post_init__(self) -> None:
        require_file(self.questions, "questions file")
        if self.annotations is not None:
            require_file(self.annotations, "annotations file")
        require_folder(self.images, "image folder")

    @property
    def name(self) -> str:
        """``vqav2:`` and the name of the questions file."""
        return f"vqav2:{self.questions.name}"

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield one sample an image, with its questions in the file's order. See `SampleSource.samples`.

        Raises:
            DataError: A file is not of VQAv2's format, a question lacks its annotation, or an image is missing from
                the folder.
        """
        document = read_json(self.questions)
        data_subtype = member(document, "data_subtype", str, str(self.questions))
        grouped = self._group(document)
        for image_id in shuffled(list(grouped), seed):
            path = self._find_image(data_subtype, image_id)
            yield Sample(image_id, partial(load_image, path), tuple(grouped[image_id]), file=path.name)

    def _group(self, document: dict[str, Any]) -> dict[int, list[Question]]:
        """The questions of each image id, with their annotations."""
        annotations = _read_annotations(self.annotations) if self.annotations else None
        grouped: dict[int, list[Question]] = {}
        for index, record in enumerate(member(document, "questions", list, str(self.questions))):
            where = f"{self.questions}: questions[{index}]"
            question_id = member(record, "question_id", int, where)
            question = Question(member(record, "question", str, where), question_id)
            if annotations is not None:
                if question_id not in annotations:
                    raise DataError(
                        f"{self.annotations}: no annotation for question {question_id} of {self.questions.name}; "
                        "give the annotations of the same split, or leave them out"
                    )
                question = _annotated(question, annotations[question_id], f"{self.annotations}: {question_id=}")
            grouped.setdefault(member(record, "image_id", int, where), []).append(question)
        return grouped

    def _find_image(self, data_subtype: str, image_id: int) -> Path:
        # The questions of "test-dev2015" are asked about images of "test2015".
        stems = (image_stem(data_subtype.replace("test-dev", "test"), image_id), f"{image_id:012d}")
        for stem in stems:
            for suffix in IMAGE_SUFFIXES:
                path = self.images / (stem + suffix)
                if path.is_file():
                    return path
        raise DataError(
            f"{self.questions.name}: image {image_id} is missing: expected {stems[0]}{IMAGE_SUFFIXES[0]} "
            f"in {self.images}; check the folder or extract all images"
        )


def _read_annotations(path: Path) -> dict[int, dict[str, Any]]:
    """Annotation records by question id."""
    records = member(read_json(path), "annotations", list, str(path))
    return {member(record, "question_id", int, f"{path}: annotations[{i}]"): record for i, record in enumerate(records)}


def _annotated(question: Question, record: dict[str, Any], where: str) -> Question:
    answers = member(record, "answers", list, where)
    return Question(
        text=question.text,
        question_id=question.question_id,
        answers=tuple(member(answer, "answer", str, f"{where}: answers[{i}]") for i, answer in enumerate(answers)),
        question_type=member(record, "question_type", str, where),
        answer_type=member(record, "answer_type", str, where),
    )


def write_vqav2(
    folder: Path, samples: Iterable[Sample], data_subtype: str, description: str = ""
) -> tuple[Path, Path | None]:
    """Write the questions and annotations of samples under VQAv2's file names; the images are the caller's to write.

    Args:
        folder: An existing folder, in which files of those names are replaced.
        samples: Their images are not loaded. Images without questions leave no trace in these files.
        data_subtype: The split, such as ``val2014``. Images are expected to be named as `coco.image_stem` has it.
        description: For the files' ``info``.

    Returns:
        The questions file, and the annotations file or None where no question has an answer.

    Raises:
        DataError: An image id is not an integer, or some questions have answers and others have none.
    """
    pairs = [(integer_id(sample), question) for sample in samples for question in sample.questions]
    header = {
        "info": {"description": description, "version": "2.0"},
        "data_type": "mscoco",
        "data_subtype": data_subtype,
        "license": {},
    }
    questions = folder / f"v2_OpenEnded_mscoco_{data_subtype}_questions.json"
    records = [{"image_id": i, "question": q.text, "question_id": q.question_id} for i, q in pairs]
    annotated = [_annotation(image_id, question) for image_id, question in pairs if question.answers]
    if annotated and len(annotated) < len(pairs):
        bare = next(question for _, question in pairs if not question.answers)
        raise DataError(f"question {bare.question_id}: no answers, while other questions have some; give all or none")
    write_json(questions, {**header, "task_type": "Open-Ended", "questions": records})
    if not annotated:
        return questions, None
    annotations = folder / f"v2_mscoco_{data_subtype}_annotations.json"
    write_json(annotations, {**header, "annotations": annotated})
    return questions, annotations


def _annotation(image_id: int, question: Question) -> dict[str, Any]:
    return {
        "question_id": question.question_id,
        "image_id": image_id,
        "question_type": question.question_type,
        "answer_type": question.answer_type,
        "multiple_choice_answer": Counter(question.answers).most_common(1)[0][0],
        "answers": [
            {"answer": answer, "answer_confidence": "yes", "answer_id": number}
            for number, answer in enumerate(question.answers, start=1)
        ],
    }
