"""Captions of image files and answers about them, in order and in bounded memory; files that are no image cost only
their own text.
"""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from blipvino.arrays import Pixels
from blipvino.cli.sureness import Sureness
from blipvino.errors import ImageError, InputError, OutputError
from blipvino.photos.listing import STANDARD_INPUT, Listed, has_image_suffix
from blipvino.photos.places import Outcome
from blipvino.runtime.arriving import arrival_of
from blipvino.runtime.blip import Blip
from blipvino.runtime.decoding.generated import FinishReason, Generated
from blipvino.runtime.decoding.ranking import AnswerList, Ranking
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.runtime.reranking import Matcher, best_captions

AHEAD = 2 * DEFAULT_BATCH_SIZE
"""Images that are read, and resized, before they are asked for."""

Texts = Sequence[tuple[str, FinishReason | None, Sureness]]
"""The texts of one image, an item a question (one of a caption), how each ended, and how sure it is."""


@dataclass(frozen=True)
class ImageText:
    """A caption of an image or an answer about it, or why there is none.

    Attributes:
        image: the file.
        text: the caption or the answer; empty with an ``error``, and where it is withheld.
        question: that the text answers; None of a caption.
        finish_reason: "stop" or "length", of `Generated`; None of answers from a list.
        error: why the image could not be read.
        first: whether this is the first text of this image.
        outcome: of keeping the text in files; None where it is printed alone.
        sureness: how sure the text is; None with an ``error``.
    """

    image: Path
    text: str
    question: str | None = None
    finish_reason: FinishReason | None = None
    error: ImageError | None = None
    first: bool = True
    outcome: Outcome | None = None
    sureness: Sureness | None = None

    @property
    def withheld(self) -> bool:
        """Whether there is a text that is too unsure to be shown."""
        return self.sureness is not None and self.sureness.withheld

    @property
    def marked(self) -> str:
        """The text, with an ellipsis if it was cut off."""
        return f"{self.text}…" if self.finish_reason == "length" and not self.withheld else self.text

    @property
    def problems(self) -> tuple[ImageError | OutputError, ...]:
        """Why there is no text, or it is not kept everywhere."""
        if self.error is not None:
            return (self.error,)
        return () if self.outcome is None else self.outcome.problems

    def to_json(self, scores: bool = False) -> dict[str, Any]:
        """``image``, ``question`` if any, and ``error``, or ``caption`` or ``answer`` and ``finish_reason``;
        ``written`` and ``problems`` where the text was to be kept in files. A withheld text is null, and ``withheld``.

        Args:
            scores: tell all of how sure it is, too.
        """
        row: dict[str, Any] = {"image": str(self.image)}
        if self.question is not None:
            row["question"] = self.question
        if self.error is not None:
            return {**row, "error": str(self.error)}
        row["caption" if self.question is None else "answer"] = None if self.withheld else self.text
        if self.finish_reason is not None:
            row["finish_reason"] = self.finish_reason
        if self.sureness is not None and scores:
            row |= self.sureness.to_json()
        if self.withheld:
            row["withheld"] = True
        if self.outcome is not None:
            row["written"] = [str(path) for path in self.outcome.written]
            row["problems"] = [str(problem) for problem in self.outcome.problems]
        return row


def split_inputs(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Images, which come first, and questions: what is there, what matches files, and what ends as image files do, is
    an image or a folder of them, as is ``-``.

    Raises:
        InputError: there are no questions, or an image comes after one.
    """
    count = 1
    while count < len(inputs) and _names_images(inputs[count]):
        count += 1
    images, questions = list(inputs[:count]), list(inputs[count:])
    form = 'give all images first and then the questions, such as a.jpg b.jpg "what is this?"'
    if not questions:
        raise InputError(f"no question after {inputs[-1]}; {form}")
    late = next((text for text in questions if _names_images(text)), None)
    if late is not None:
        raise InputError(f"{late} is an image, but comes after a question; {form}")
    return images, questions


def _names_images(text: str) -> bool:
    """Whether an argument is meant as images; a link that leads nowhere is, too."""
    if text == STANDARD_INPUT or has_image_suffix(text) or os.path.lexists(text):
        return True
    return glob.has_magic(text) and any(glob.iglob(text, recursive=True))  # noqa: PTH207  # absolute ones too


@dataclass(frozen=True)
class Reranker:
    """What chooses among captions: a model that matches, and how many captions are drawn of each image."""

    matcher: Matcher
    best_of: int


def caption_images(
    blip: Blip,
    images: Iterator[Listed],
    prompt: str | None,
    options: Mapping[str, Any],
    min_confidence: float = 0.0,
    reranker: Reranker | None = None,
) -> Generator[ImageText]:
    """Caption images one by one, as they are ready.

    Args:
        blip: the model.
        images: the files; no more than needed are taken ahead.
        prompt: text that every caption continues.
        options: of `GenerationOptions`. With ``seed``, captions are drawn as `Blip.caption` draws them, images that
            cannot be read left out.
        min_confidence: captions that are less sure are withheld.
        reranker: chooses among several captions that are drawn; None takes the one that is generated.

    Raises:
        InputError: the prompt or an option is not allowed.
    """
    reader = _Reader(blip.images, images)
    with closing(reader) as readable:
        given = {"prompt": prompt, "min_confidence": min_confidence, **options}
        if reranker is None:
            texts = ([_described(made)] for made in blip.caption_stream(readable, return_scores=True, **given))
        else:
            best = best_captions(blip, reranker.matcher, readable, best_of=reranker.best_of, **given)
            texts = ([_described(found.best, found.match)] for found in best)
        yield from _in_order(reader, texts, [None])


def answer_images(
    blip: Blip,
    images: Iterator[Listed],
    questions: Sequence[str],
    choice: Sequence[str] | None,
    options: Mapping[str, Any],
    min_confidence: float = 0.0,
) -> Generator[ImageText]:
    """Ask every question of every image: all about the first image, then all about the second, as they are ready.

    Args:
        blip: the model.
        images: the files; no more than needed are taken ahead.
        questions: what to ask of each.
        choice: answers to rank; None generates them.
        options: of `GenerationOptions`, to generate by. With ``seed``, an image's answers are those that it gets alone.
        min_confidence: answers that are less sure are withheld.

    Raises:
        InputError: a question, an answer of the choice or an option is not allowed, or the model answers no questions.
    """
    given = {**options, "min_confidence": min_confidence}
    with closing(_Reader(blip.images, images)) as reader:
        if choice is None and not options.get("do_sample"):
            texts = _answers(blip, reader, questions, given)
        else:
            listed = None if choice is None else AnswerList(choice, blip.texts)
            texts = _answers_by_image(blip, reader, questions, listed, given)
        yield from _in_order(reader, texts, questions)


class _Asked(Iterator[tuple[Pixels, str]]):
    """Every question of every image."""

    def __init__(self, images: _Reader, questions: Sequence[str]) -> None:
        self._images = images
        self._questions = questions
        self._image: Pixels | None = None
        self._asked = 0

    def has_arrived(self) -> bool:
        """Whether the next one, or the end, is there."""
        return self._asked > 0 or self._images.has_arrived()

    def __next__(self) -> tuple[Pixels, str]:
        """The next one."""
        if self._asked == 0 or self._image is None:
            self._image = next(self._images)
        question = self._questions[self._asked]
        self._asked = (self._asked + 1) % len(self._questions)
        return self._image, question


def _answers(blip: Blip, images: _Reader, questions: Sequence[str], options: Mapping[str, Any]) -> Iterator[Texts]:
    """The answers of each image."""
    answers = blip.answer_stream(_Asked(images, questions), return_scores=True, **options)
    for first in answers:
        yield [_described(made) for made in chain([first], islice(answers, len(questions) - 1))]


def _answers_by_image(
    blip: Blip,
    images: _Reader,
    questions: Sequence[str],
    choice: AnswerList | None,
    options: Mapping[str, Any],
) -> Iterator[Texts]:
    """The answers of each image, as if it were the only one: those drawn depend on no other."""
    least = options["min_confidence"]
    for (features,) in blip.feature_stream(images, batch_size=1):
        if choice is None:
            yield [_described(one) for one in blip.answer(features, questions, return_scores=True, **options)]
        else:
            yield [_chosen(one, least) for one in blip.rank(features, questions, choice)]


def _described(made: Generated, match: float | None = None) -> tuple[str, FinishReason, Sureness]:
    return made.text, made.finish_reason, Sureness.of_generated(made, match)


def _chosen(ranking: Ranking, min_confidence: float) -> tuple[str, None, Sureness]:
    sureness = Sureness.of_ranking(ranking, min_confidence)
    return "" if sureness.withheld else ranking.answer, None, sureness


def _in_order(reader: _Reader, texts: Iterator[Texts], questions: Sequence[str | None]) -> Iterator[ImageText]:
    """Put the texts of each readable image in their place among those that could not be read."""
    while True:
        yield from reader.unreadable(questions)
        if not reader.pending and not reader.look_on():
            continue  # one more is unreadable, which is told before the next is waited for
        image_texts = next(texts, None)
        if image_texts is None:
            break
        yield from reader.unreadable(questions)
        path, _ = reader.pending.popleft()
        for number, (question, (text, reason, sureness)) in enumerate(zip(questions, image_texts, strict=True)):
            yield ImageText(path, text, question, reason, first=number == 0, sureness=sureness)
    yield from reader.unreadable(questions)


class _Reader(Iterator[Pixels]):
    """Reads images ahead, on all cores, and hands on the pixels ``[size, size, 3]`` of those that can be read.

    No more than `AHEAD` are held.

    Attributes:
        pending: images that have been read and have no text yet, in order, with the error of those that could not be.
    """

    def __init__(self, processor: ImageProcessor, images: Iterator[Listed]) -> None:
        self._processor = processor
        self._images = images
        self._have_arrived = arrival_of(images)
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._waiting: deque[tuple[Path, Future[Pixels | ImageError]]] = deque()
        self.pending: deque[tuple[Path, ImageError | None]] = deque()

    def has_arrived(self) -> bool:
        """Whether the next image that can be read, or the end, is there; those before it that cannot are set aside."""
        while self._waiting or self._have_arrived():
            if self.look_on():
                return True
        return False

    def look_on(self) -> bool:
        """Wait for one more image: whether it can be read, or there is none. Else it is set aside, in ``pending``."""
        return not isinstance(self._look(), ImageError)

    def __next__(self) -> Pixels:
        """The next image that can be read."""
        while True:
            found = self._look()
            if found is None:
                raise StopIteration
            if not isinstance(found, ImageError):
                path, _ = self._waiting.popleft()
                self.pending.append((path, None))
                return found

    def _look(self) -> Pixels | ImageError | None:
        """The next image, which is waited for; None at the end. One that cannot be read is set aside."""
        while len(self._waiting) < AHEAD and (not self._waiting or self._have_arrived()):
            image = next(self._images, None)
            if image is None:
                break
            self._waiting.append((image.path, self._pool.submit(self._read, image)))
        if not self._waiting:
            return None
        path, reading = self._waiting[0]
        found = reading.result()
        if isinstance(found, ImageError):
            self._waiting.popleft()
            self.pending.append((path, found))
        return found

    def close(self) -> None:
        """Read no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def unreadable(self, questions: Sequence[str | None]) -> Iterator[ImageText]:
        """The images that could not be read, up to the next that could."""
        while self.pending and self.pending[0][1] is not None:
            path, error = self.pending.popleft()
            for number, question in enumerate(questions):
                yield ImageText(path, "", question, error=error, first=number == 0)

    def _read(self, image: Listed) -> Pixels | ImageError:
        if image.error is not None:
            return image.error
        try:
            return self._processor.pixels([image.path])[0]
        except ImageError as error:
            return ImageError(str(error))  # without its traceback, which holds on to what was read
