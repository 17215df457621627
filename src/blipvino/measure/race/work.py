"""Work that contenders are timed on: what is asked of them round by round, and how a worker carries it out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from blipvino.measure.race.contender import Contender, Tokens
from blipvino.measure.race.race_inputs import picture, question

Kind = Literal["caption", "answer", "further", "ask", "parts"]

ROUND_STRIDE = 64
"""Numbers of pictures between two rounds, above the largest batch: no round sees a picture of another."""


@dataclass(frozen=True)
class Task:
    """One call, the same for every contender. Pictures travel as numbers: each worker draws them before its clock runs.

    Attributes:
        kind: "caption" (all images in one batch), "answer" (a question about each image, in one batch), "further" (a
            question about an image that is known), "ask" (several questions about a new image, one after the other),
            or "parts" (each graph on its own).
        images: numbers of pictures.
        questions: texts; none for "caption".
        new_tokens: of every text, exactly.
    """

    kind: Kind
    images: tuple[int, ...]
    questions: tuple[str, ...]
    new_tokens: int


@dataclass(frozen=True)
class Outcome:
    """What a task took, on the worker's own clock, and what it gave."""

    seconds: float
    tokens: Tokens = field(default_factory=list)
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """A row of the results: a kind of task at one size.

    Attributes:
        name: "caption", "first answer", ...
        kind: of its tasks.
        size: what the cost is drawn against: images in the batch, questions or tokens.
        new_tokens: of every text.
        images: of one task.
        questions: of one task.
        linear_only: done only by those contenders whose growth is drawn.
    """

    name: str
    kind: Kind
    size: int
    new_tokens: int
    images: int = 1
    questions: int = 0
    linear_only: bool = False

    def task(self, number: int) -> Task:
        """The task of a round, over pictures of its own."""
        first = number * ROUND_STRIDE
        images = tuple(range(first, first + self.images))
        questions = tuple(question(first + index) for index in range(self.questions))
        return Task(self.kind, images, questions, self.new_tokens)


def perform(contender: Contender, task: Task) -> Outcome:
    """Carry out a task against the clock.

    Raises:
        RuntimeError: the contender did other work than was asked: too few texts, or texts of another length.
    """
    images = [picture(number) for number in task.images]
    if task.kind == "parts":
        started = time.perf_counter()
        parts = contender.graph_seconds(images[0], task.questions[0] if task.questions else "")
        return Outcome(time.perf_counter() - started, parts=parts)
    if task.kind == "further":
        contender.prepare_image(images[0])
    started = time.perf_counter()
    tokens: Tokens = []
    if task.kind == "caption":
        tokens = contender.caption(images, task.new_tokens)
    elif task.kind == "answer":
        tokens = contender.answer(images, task.questions, task.new_tokens)
    else:
        if task.kind == "ask":
            contender.prepare_image(images[0])
        for text in task.questions:
            tokens += contender.answer_again(text, task.new_tokens)
    seconds = time.perf_counter() - started
    _check(tokens, max(len(images), len(task.questions)), task.new_tokens)
    return Outcome(seconds, tokens)


def _check(tokens: Tokens, rows: int, new_tokens: int) -> None:
    lengths = [len(row) for row in tokens]
    if lengths != [new_tokens] * rows:
        raise RuntimeError(f"expected {rows} texts of {new_tokens} tokens, got texts of {lengths} tokens")


def plan(answers_questions: bool, *, answer_tokens: int, caption_tokens: int, quick: bool) -> tuple[Work, ...]:
    """All that is timed, in order. Without a question encoder, captions alone."""
    sizes = (1, 4) if quick else (1, 2, 4, 8, 16)
    throughput = (1, 4) if quick else (1, 4, 16)
    works = [Work("first token", "caption", 1, 1)]
    works += [
        Work("caption", "caption", size, caption_tokens, images=size, linear_only=size not in throughput)
        for size in sizes
    ]
    works += [Work("tokens", "caption", tokens, tokens, linear_only=True) for tokens in (1, 5, 10, 20, 40)]
    if answers_questions:
        works += [
            Work("first answer", "answer", 1, answer_tokens, questions=1),
            Work("further answer", "further", 1, answer_tokens, questions=1),
        ]
        works += [Work("questions", "ask", n, answer_tokens, questions=n, linear_only=True) for n in sizes]
    return (*works, Work("parts", "parts", 1, 1, questions=int(answers_questions)))
