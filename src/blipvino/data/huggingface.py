"""Hugging Face datasets, streamed: those that keep VQAv2's columns, and sets of images with captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from types import ModuleType
from typing import Any

from PIL import Image

from blipvino.data.dataset_library import (
    IMAGE_COLUMNS,
    DatasetName,
    import_datasets,
    open_splits,
    undecoded,
    unreadable,
)
from blipvino.data.samples import Question, Sample
from blipvino.errors import DataError, ImageError

SHUFFLE_BUFFER = 1000
"""Rows held while shuffling a stream, as `datasets` has it and the tutorial used it."""
CAPTION_COLUMNS = ("caption", "captions", "text")


@dataclass
class _Group:
    """What the rows taken say about one image."""

    image: Any
    questions: list[Question] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)


class HuggingFaceSource:
    """A dataset of the Hugging Face Hub, or a local folder that `datasets` can load, streamed and never stored.

    It needs an image column (`IMAGE_COLUMNS`). The columns ``image_id``, ``question``, ``question_id``, ``answers``
    or ``answer``, ``question_type`` and ``answer_type`` are those of ``lmms-lab/VQAv2``; captions come from the first
    column of `CAPTION_COLUMNS` (``text`` only where there is no ``question``). All but the image may be absent.

    Attributes:
        name: ``hf:`` with the dataset's name and the split chosen.
    """

    def __init__(self, dataset: str, split: str | None = None, config: str | None = None) -> None:
        """Contact the hub, and choose the split.

        Args:
            dataset: Its name, such as ``lmms-lab/VQAv2``, or a local folder.
            split: By default "train" if the dataset has it, else "validation", else its first one.
            config: The configuration, needed where a dataset has several.

        Raises:
            DataError: The `datasets` extra is missing, or the dataset, its configuration or split cannot be opened.
        """
        name = DatasetName(dataset, config, split)
        splits = open_splits(name)
        chosen = name.choose(splits)
        self.name = f"hf:{dataset}{',' + config if config else ''}@{chosen}"
        self._library = import_datasets()
        self._stream = undecoded(splits[chosen])

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield one sample for each distinct ``image_id`` among the first ``limit`` rows of the shuffled stream.

        A shuffled stream scatters an image's questions, so they are grouped over the rows taken, as the tutorial does;
        each image is held once, still encoded. Without an ``image_id`` column each row is an image of its own.
        Which rows a seed takes also depends on the version of `datasets` (5.0 shuffles across shards).

        Raises:
            DataError: The rows cannot be read, or lack an image.
        """
        groups: dict[int | str, _Group] = {}
        for number, row in enumerate(self._rows(seed, limit)):
            image_id = row.get("image_id")
            key = number if image_id is None else image_id if isinstance(image_id, int) else str(image_id)
            group = groups.setdefault(key, _Group(row[self._image_column(row)]))
            group.questions += _questions(row, number)
            group.captions += [text for text in _captions(row) if text not in group.captions]
        for key, group in groups.items():
            load = partial(_decode, self._library, group.image, f"{self.name}: image {key}")
            yield Sample(key, load, tuple(group.questions), tuple(group.captions), _file_name(group.image))

    def _rows(self, seed: int, limit: int) -> Iterator[dict[str, Any]]:
        try:
            yield from self._stream.shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER).take(limit)
        except Exception as error:  # as in __init__: a download can fail in any row
            raise unreadable(self.name.removeprefix("hf:"), error) from error

    def _image_column(self, row: Mapping[str, Any]) -> str:
        for column in IMAGE_COLUMNS:
            if row.get(column) is not None:
                return column
        raise DataError(
            f"{self.name}: no image in a row; expected one in a column {' or '.join(IMAGE_COLUMNS)}, "
            f"found columns {', '.join(row)}"
        )


def _questions(row: Mapping[str, Any], number: int) -> list[Question]:
    """The row's question, if it has one; ``number`` is its id where the dataset gives none."""
    text = row.get("question")
    if not text:
        return []
    question_id = row.get("question_id")
    answers = row.get("answers") or row.get("answer")
    return [
        Question(
            text=str(text),
            question_id=question_id if isinstance(question_id, int) else number,
            answers=tuple(_texts(answers)),
            question_type=str(row.get("question_type") or ""),
            answer_type=str(row.get("answer_type") or ""),
        )
    ]


def _captions(row: Mapping[str, Any]) -> list[str]:
    columns = [column for column in CAPTION_COLUMNS if column in row]
    if "question" in row and "text" in columns:
        columns.remove("text")
    return _texts(row[columns[0]]) if columns else []


def _texts(value: Any) -> list[str]:
    """The strings of an answer or caption column: a string, or a list of strings or of VQAv2's answer records.

    Older versions of `datasets` give a list of records as one record of lists.
    """
    if value is None:
        return []
    if isinstance(value, Mapping):
        return _texts(value.get("answer"))
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)]


def _file_name(value: Any) -> str:
    """The name of an undecoded image's file, where the dataset keeps it."""
    path = value.get("path") if isinstance(value, Mapping) else None
    return PurePath(path).name if isinstance(path, str) else ""


def _decode(library: ModuleType, value: Any, name: str) -> Image.Image:
    """Decode an image column's value: an encoded image (``{"bytes", "path"}`` or bytes), a path, or a PIL image."""
    if isinstance(value, bytes):
        value = {"bytes": value, "path": None}
    elif isinstance(value, str):
        value = {"bytes": None, "path": value}
    try:
        image = library.Image().decode_example(value)
    except Exception as error:  # Pillow's errors, and the network's where the dataset refers to a URL
        raise ImageError(f"{name}: cannot be decoded ({error}); choose another seed or dataset") from error
    if not isinstance(image, Image.Image):
        raise ImageError(f"{name}: expected an image, found a {type(value).__name__}")
    return image
