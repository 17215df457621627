"""A folder of images, with questions in an optional ``questions.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from blipvino.data.samples import Question, Sample, shuffled
from blipvino.errors import DataError
from blipvino.files.image_files import IMAGE_SUFFIXES
from blipvino.files.sample_files import load_image, member, read_bytes, require_folder

QUESTIONS_FILE = "questions.jsonl"


@dataclass(frozen=True)
class FolderSource:
    """The images of a folder and its subfolders. An image's id is its path relative to the folder, with slashes.

    Where the folder has a ``questions.jsonl``, its lines decide which images are samples. A line is
    ``{"image": "relative/path.jpg", "question": "...", "answers": ["...", ...]}``, in which ``"answer": "..."`` may
    stand for a single answer, or both be left out. Hidden files and folders are passed over.

    Raises:
        DataError: The folder does not exist.
    """

    path: Path

    def __post_init__(self) -> None:
        require_folder(self.path, "folder of images")

    @property
    def name(self) -> str:
        """``folder:`` and the folder's name."""
        return f"folder:{self.path.resolve().name}"

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield one sample an image. See `SampleSource.samples`.

        Raises:
            DataError: A line of ``questions.jsonl`` cannot be read or names a missing image, or there are no images.
        """
        questions_file = self.path / QUESTIONS_FILE
        grouped: dict[str, list[Question]]
        grouped = self._read(questions_file) if questions_file.is_file() else {name: [] for name in self._image_names()}
        if not grouped:
            suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
            raise DataError(f"{self.path}: no images in it; expected files ending in {suffixes}")
        for image in shuffled(sorted(grouped), seed):
            yield Sample(image, partial(load_image, self.path / image), tuple(grouped[image]), file=image)

    def _image_names(self) -> list[str]:
        relative = (file.relative_to(self.path) for file in self.path.rglob("*") if file.is_file())
        return [
            path.as_posix()
            for path in relative
            if path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in path.parts)
        ]

    def _read(self, file: Path) -> dict[str, list[Question]]:
        """The questions of each image, numbered by their lines."""
        grouped: dict[str, list[Question]] = {}
        # Read as bytes, so that a line that is not UTF-8 is named like any other.
        for number, line in enumerate(read_bytes(file).splitlines(), start=1):
            if line.strip():
                image, question = self._parse(line, number, f"{file}:{number}")
                grouped.setdefault(image, []).append(question)
        return grouped

    def _parse(self, line: bytes, number: int, where: str) -> tuple[str, Question]:
        try:
            record = json.loads(line)
        except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
            raise DataError(f"{where}: not valid JSON ({error}); expected one object a line") from error
        text = member(record, "question", str, where)
        if not text.strip():
            raise DataError(f"{where}: the question is blank; write one or remove the line")
        image = PurePosixPath(member(record, "image", str, where))
        if image.is_absolute() or ".." in image.parts:
            raise DataError(f"{where}: image {str(image)!r} must be a path relative to {self.path}, within it")
        if not (self.path / image).is_file():
            raise DataError(f"{where}: image {str(image)!r} is missing from {self.path}; add it or remove the line")
        return str(image), Question(text, number, _answers(record, where))


def _answers(record: dict[str, Any], where: str) -> tuple[str, ...]:
    if "answer" in record and "answers" in record:
        raise DataError(f"{where}: both 'answer' and 'answers'; give one of them")
    if "answer" in record:
        return (member(record, "answer", str, where),)
    if "answers" not in record:
        return ()
    answers = member(record, "answers", list, where)
    if not all(isinstance(answer, str) for answer in answers):
        raise DataError(f'{where}: expected \'answers\' to be a list of strings, such as ["red", "dark red"]')
    return tuple(answers)
