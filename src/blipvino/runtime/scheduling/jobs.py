"""What is asked of the scheduler: texts, each about an image, of callers who may give up."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from blipvino.arrays import FloatArray, IntArray, Pixels
from blipvino.errors import DeadlineError
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.features import ImageFeatures

_numbers = itertools.count()


@dataclass(frozen=True)
class TextKind:
    """What texts that can be decoded side by side have in common.

    Attributes:
        captions: whether they are captions, which attend to an image; answers attend to a question.
        beams: of each.
    """

    captions: bool
    beams: int


@dataclass(eq=False)
class Caller:
    """Who asks for texts: one call, or one client.

    Attributes:
        together: of its texts that may be decoded at the same time; 1 where there is but one.
        decoded: of its texts that are being decoded now.
        turn: of its last job.
    """

    together: int
    decoded: int = 0
    turn: int = 0


@dataclass(eq=False)
class SharedImage:
    """An image that several texts may be about: it is looked at once.

    Attributes:
        seen: its pixels ``[size, size, 3]``, resized; or what the model saw in it before.
    """

    seen: Pixels | ImageFeatures

    @property
    def features(self) -> ImageFeatures | None:
        """What the model sees in it; None before it has looked."""
        return self.seen if isinstance(self.seen, ImageFeatures) else None

    @property
    def pixels(self) -> Pixels | None:
        """What it looks at; None afterwards."""
        return None if isinstance(self.seen, ImageFeatures) else self.seen


@dataclass(eq=False)
class JobTimes:
    """When a job came how far, by `time.monotonic`; None of what has not been.

    Attributes:
        submitted: into the queue.
        encoding: its image or question was begun to be looked at.
        ready: it could be decoded.
        decoding: its text was begun.
        done: it had its text.
        worked: seconds in which its image was looked at and its question read, without those in which that waited.
    """

    submitted: float | None = None
    encoding: float | None = None
    ready: float | None = None
    decoding: float | None = None
    done: float | None = None
    worked: float = 0.0


@dataclass(frozen=True)
class Source:
    """What the decoder attends to.

    Attributes:
        states: float32 ``[S, D]``: an image's embeddings, or a question's states.
        mask: int64 ``[S]``, ones where they may be attended to.
    """

    states: FloatArray
    mask: IntArray


@dataclass(eq=False)
class TextJob:
    """One text to generate.

    Attributes:
        caller: who asks.
        image: that it is about.
        question: its tokens; None captions the image.
        prompt: token ids that the text begins with.
        rng: for sampling.
        options: how tokens are chosen.
        priority: the higher, the sooner.
        deadline: `time.monotonic` after which nobody wants it any more; None is never.
        heard: called with all tokens so far whenever there are new ones, in the thread that decodes; not with beams,
            of which none is sure before the end. It must not block.
        result: the text.
        turn: when it is to be worked on: the scheduler's count of turns, in which callers alternate.
        number: that counts jobs, the oldest first.
        source: what the decoder attends to, once it is known.
        times: when it came how far.
    """

    caller: Caller
    image: SharedImage
    question: Sequence[int] | None
    prompt: Sequence[int]
    rng: np.random.Generator
    options: GenerationOptions
    priority: int = 0
    deadline: float | None = None
    heard: Callable[[Sequence[int]], None] | None = None
    result: Future[GeneratedTokens] = field(default_factory=Future)
    turn: int = 0
    number: int = field(default_factory=lambda: next(_numbers))
    source: Source | None = None
    times: JobTimes = field(default_factory=JobTimes)

    @cached_property
    def kind(self) -> TextKind:
        """Texts of the same kind are decoded side by side."""
        return TextKind(self.question is None, self.options.num_beams)

    @property
    def urgency(self) -> tuple[int, int, int]:
        """Sorts jobs: by priority, then by turn, then by age."""
        return -self.priority, self.turn, self.number

    @property
    def is_late(self) -> bool:
        """Whether its deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.result.cancelled() or self.is_late

    def drop_late(self) -> bool:
        """Whether nobody waits for it any more; who comes too late is told so."""
        if self.result.cancelled():
            return True
        if self.is_late:
            self.fail(DeadlineError("the time that was given for this text is over"))
            return True
        return False

    def finish(self, text: GeneratedTokens) -> None:
        """It is done, unless nobody waits for it any more."""
        self.times.done = time.monotonic()
        if self.result.set_running_or_notify_cancel():
            self.result.set_result(text)

    def fail(self, error: Exception) -> None:
        """It cannot be done, unless it is done already."""
        if not self.result.done() and self.result.set_running_or_notify_cancel():
            self.result.set_exception(error)
