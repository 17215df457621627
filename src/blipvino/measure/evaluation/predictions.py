"""What a model says of the samples, kept on disk as it is said: a stopped run goes on where it was.

A file of predictions holds JSON, one value a line: first a `Header`, then a `Prediction` for each image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from blipvino.errors import DataError, OutputError
from blipvino.files.json_records import decode
from blipvino.files.sample_files import read_bytes
from blipvino.machine.devices import CPU


@dataclass(frozen=True)
class Header:
    """What predictions depend on. A run goes on with a file only where all of it is the same.

    Attributes:
        model: the bundle's fingerprint.
        precision: of the arithmetic that is not quantized.
        arithmetic: of what is.
        data: the source.
        samples: questions that were wanted.
        captions: captions that were wanted.
        seed: of the data's shuffle.
        selection: `blipvino.measure.evaluation.selection.digest` of what is asked and captioned.
        max_new_tokens: of every text.
        num_beams: of beam search.
        answers: SHA-256 of the answers to choose from; None where answers are generated.
        top_k: of ranking; None where answers are generated, or all are ranked.
        scores: whether each text has a score; files of earlier versions have none.
        device: that computes.
    """

    model: str
    precision: str
    arithmetic: str
    data: str
    samples: int
    captions: int
    seed: int
    selection: str
    max_new_tokens: int
    num_beams: int
    answers: str | None
    top_k: int | None
    scores: bool = False
    device: str = CPU


@dataclass(frozen=True)
class TextScore:
    """How likely a model finds its text: the logarithm of its probability; and whether it was cut off."""

    logprob: float
    cut_off: bool


@dataclass(frozen=True)
class Answer:
    """The answer to one question."""

    question_id: int
    answer: str
    score: TextScore | None = None


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image; ``caption`` is None where it was not captioned."""

    image_id: int | str
    answers: tuple[Answer, ...]
    caption: str | None
    caption_score: TextScore | None = None


class PredictionFile:
    """Predictions of one model, as a file that grows.

    Args:
        path: the file; it is made where there is none. A last line that was not finished is taken away.
        header: what the predictions are to depend on.
        restart: begin anew, whatever the file holds.

    Attributes:
        known: what the file holds, by image.

    Raises:
        OutputError: the file holds predictions that depend on something else, or cannot be written.
        DataError: the file holds something else.
    """

    def __init__(self, path: Path, header: Header, *, restart: bool = False) -> None:
        self._path = path
        self.known: dict[int | str, Prediction] = {}
        lines = [] if restart or not path.is_file() else _whole_lines(path)
        if not lines:
            self._write(_line(header), "wb")
            return
        _check(path, _decode_line(Header, lines[0], path, 1), header)
        for number, line in enumerate(lines[1:], start=2):
            prediction = _decode_line(Prediction, line, path, number)
            self.known[prediction.image_id] = prediction
        self._cut(sum(len(line) + 1 for line in lines))

    def append(self, predictions: Iterable[Prediction]) -> None:
        """Add predictions, and see them through to the file.

        Raises:
            OutputError: they cannot be written.
        """
        added = list(predictions)
        self._write(b"".join(map(_line, added)), "ab")
        self.known |= {prediction.image_id: prediction for prediction in added}

    def _write(self, content: bytes, mode: Literal["wb", "ab"]) -> None:
        with self._refusals(), self._path.open(mode) as file:
            file.write(content)

    def _cut(self, length: int) -> None:
        with self._refusals():
            os.truncate(self._path, length)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror}); choose another place") from error


def _decode_line(kind: type[Any], line: bytes, path: Path, number: int) -> Any:
    """A line of the file as what it is to be."""
    try:
        return decode(kind, json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}:{number}: not a {kind.__name__.lower()} of predictions ({error}); begin anew with --restart"
        ) from error


def _whole_lines(path: Path) -> list[bytes]:
    return read_bytes(path).split(b"\n")[:-1]


def _line(record: Header | Prediction) -> bytes:
    return json.dumps(asdict(record), ensure_ascii=False).encode() + b"\n"


def _check(path: Path, found: Header, wanted: Header) -> None:
    differing = list(_differences(found, wanted))
    if differing:
        raise OutputError(
            f"{path}: holds predictions made otherwise: {', '.join(differing)}; "
            "give the same, choose another folder, or begin anew with --restart"
        )


def _differences(found: Header, wanted: Header) -> Iterator[str]:
    for field in fields(Header):
        there, here = getattr(found, field.name), getattr(wanted, field.name)
        if there != here:
            yield f"{field.name} {_short(there)} there, {_short(here)} here"


def _short(value: object) -> str:
    """A value for a message: of a hash the beginning."""
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
