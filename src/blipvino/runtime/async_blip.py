"""`AsyncBlip`: captions and answers for programs of asyncio, which wait for many at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from blipvino.bundle.bundle import Bundle
from blipvino.checks import integer, real
from blipvino.errors import InputError
from blipvino.runtime.batches import AHEAD, TextRequest
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.decoding.generation import row_generators
from blipvino.runtime.decoding.ranking import AnswerList, Ranking
from blipvino.runtime.features import DEFAULT_CACHE_BYTES, ImageFeatures
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.runtime.pairing import Image, Images, listed_images
from blipvino.runtime.results import Kind
from blipvino.runtime.scheduling.jobs import Caller, TextJob
from blipvino.runtime.scheduling.read_ahead import read_image
from blipvino.runtime.scheduling.streaming import TextPieces

_T = TypeVar("_T")


@dataclass(frozen=True)
class Urgency:
    """How soon a text is wanted.

    Attributes:
        priority: texts of a higher one go first.
        timeout: seconds after which it is not wanted any more; None waits for ever.
    """

    priority: int = 0
    timeout: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is of another type or out of its range.
        """
        integer("priority", self.priority)
        if self.timeout is not None and not real("timeout", self.timeout) > 0:
            raise InputError(f"timeout is {self.timeout}, expected seconds, more than 0")

    @property
    def deadline(self) -> float | None:
        """By `time.monotonic`."""
        return None if self.timeout is None else time.monotonic() + self.timeout


class AsyncBlip:
    """A `Blip` whose texts are awaited. Any number of tasks may use it; their texts are generated side by side.

    A task that is cancelled gives up its texts: they leave the batch at its next step. A text that is not done in its
    ``timeout`` raises `DeadlineError`.

    Args:
        blip: the model, which may be used by others, too.
        told: called with every text that was made, as the job that it was, in the task that waits for it.
    """

    def __init__(self, blip: Blip, told: Callable[[TextJob], None] | None = None) -> None:
        self.blip = blip
        self._told = told

    @classmethod
    async def load(
        cls,
        bundle: str | Path | Bundle,
        *,
        options: EngineOptions | None = None,
        image_cache_bytes: int = DEFAULT_CACHE_BYTES,
        verify: bool = True,
    ) -> AsyncBlip:
        """Load a bundle, as `Blip.load` does.

        Raises:
            BlipvinoError: as `Blip.load`.
        """
        return cls(
            await asyncio.to_thread(
                Blip.load, bundle, options=options, image_cache_bytes=image_cache_bytes, verify=verify
            )
        )

    async def caption(
        self,
        images: Images,
        prompt: str | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        return_details: bool = False,
        return_scores: bool = False,
        min_confidence: float | None = None,
        priority: int = 0,
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Describe an image, or each of several, as `Blip.caption`.

        Raises:
            BlipvinoError: as `Blip.caption`.
            DeadlineError: it took longer than ``timeout``.
        """
        request = self.blip.components.request(prompt, batch_size, False, options)
        form = self.blip.components.form("captions", request, return_details, return_scores, min_confidence)
        several, sources = listed_images(images)
        rows = await self._texts(sources, None, request, Urgency(priority, timeout))
        return form.results(rows, several)

    async def answer(
        self,
        images: Images,
        questions: str | Sequence[str],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        return_details: bool = False,
        return_scores: bool = False,
        min_confidence: float | None = None,
        priority: int = 0,
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Answer questions about images, as `Blip.answer`.

        Raises:
            BlipvinoError: as `Blip.answer`.
            DeadlineError: it took longer than ``timeout``.
        """
        request = self.blip.components.request(None, batch_size, False, options)
        form = self.blip.components.form("answers", request, return_details, return_scores, min_confidence)
        pairs = self.blip.components.pairs(images, questions)
        rows = await self._texts(pairs.images, pairs.tokens, request, Urgency(priority, timeout))
        return form.results(rows, pairs.several)

    async def caption_pieces(
        self,
        image: Image,
        prompt: str | None = None,
        *,
        priority: int = 0,
        timeout: float | None = None,
        **options: Any,
    ) -> AsyncIterator[str]:
        """Describe an image, piece by piece: ``async for piece in blip.caption_pieces(image)``.

        Raises:
            BlipvinoError: as `Blip.caption`.
            DeadlineError: it took longer than ``timeout``.
        """
        request = self.blip.components.request(prompt, 1, False, options)
        urgency = Urgency(priority, timeout)
        async for piece in self._pieces("captions", image, None, request, urgency):
            yield piece

    async def answer_pieces(
        self, image: Image, question: str, *, priority: int = 0, timeout: float | None = None, **options: Any
    ) -> AsyncIterator[str]:
        """Answer a question about an image, piece by piece.

        Raises:
            BlipvinoError: as `Blip.answer`.
            DeadlineError: it took longer than ``timeout``.
        """
        request = self.blip.components.request(None, 1, False, options)
        tokens = self.blip.components.pairs(image, question).tokens[0]
        async for piece in self._pieces("answers", image, tokens, request, Urgency(priority, timeout)):
            yield piece

    async def rank(
        self,
        images: Images,
        questions: str | Sequence[str],
        answers: Sequence[str] | AnswerList,
        **options: Any,
    ) -> Ranking | list[Ranking]:
        """Rank given answers, as `Blip.rank`, in a thread.

        Raises:
            BlipvinoError: as `Blip.rank`.
        """

        def ranked() -> Ranking | list[Ranking]:
            return self.blip.rank(images, questions, answers, **options)

        return await asyncio.to_thread(ranked)

    async def features(self, images: Images) -> ImageFeatures | list[ImageFeatures]:
        """What the model sees in images, as `Blip.features`, in a thread.

        Raises:
            BlipvinoError: as `Blip.features`.
        """
        return await asyncio.to_thread(self.blip.features, images)

    async def _texts(
        self, images: Sequence[Image], questions: Sequence[list[int]] | None, request: TextRequest, urgency: Urgency
    ) -> list[GeneratedTokens]:
        caller, room = (
            Caller(min(request.batch_size, max(1, len(images)))),
            asyncio.Semaphore(AHEAD * request.batch_size),
        )
        rngs, deadline = row_generators(len(images), request.options.seed), urgency.deadline

        async def text(place: int) -> GeneratedTokens:
            async with room:
                question = None if questions is None else questions[place]
                job = await self._job(images[place], question, request, caller, rngs[place])
                job.priority, job.deadline = urgency.priority, deadline
                self.blip.components.scheduler.submit([job])
                made = await asyncio.wrap_future(job.result)
                self._tell(job)
                return made

        return await _all([text(place) for place in range(len(images))])

    async def _pieces(
        self, kind: Kind, image: Image, question: list[int] | None, request: TextRequest, urgency: Urgency
    ) -> AsyncIterator[str]:
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[Sequence[int]]()
        (rng,) = row_generators(1, request.options.seed)
        job = await self._job(image, question, request, Caller(1), rng)

        def hear(tokens: Sequence[int]) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, tokens)

        job = replace(job, priority=urgency.priority, deadline=urgency.deadline, heard=hear)
        pieces, form = TextPieces(self.blip.texts), self.blip.components.form(kind, request, False, False, None)
        self.blip.components.scheduler.submit([job])
        done = asyncio.wrap_future(job.result)
        try:
            while not done.done():
                hearing = asyncio.ensure_future(heard.get())
                awaited: list[asyncio.Future[Any]] = [hearing, done]
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if not hearing.done():
                    hearing.cancel()
                elif piece := pieces.grown(hearing.result()):
                    yield piece
            whole = str(form.result(await done))
            self._tell(job)
            if piece := pieces.rest(whole):
                yield piece
        finally:
            done.cancel()

    def _tell(self, job: TextJob) -> None:
        if self._told is not None:
            self._told(job)

    async def _job(
        self, image: Image, question: list[int] | None, request: TextRequest, caller: Caller, rng: Any
    ) -> TextJob:
        runner, extractor = self.blip.components.runner, self.blip.extractor
        if isinstance(image, ImageFeatures):  # there is nothing to read, and to wait for a thread takes longer
            shared = read_image(image, extractor)
        else:
            shared = await asyncio.to_thread(read_image, image, extractor)
        if question is None:
            return runner.caption_job(shared, request, caller, rng)
        return runner.answer_job(shared, question, request, caller, rng)


async def _all(work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """The results of all; the first error ends the others."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
