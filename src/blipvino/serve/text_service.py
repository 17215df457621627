"""Captions, answers and rankings of images that were sent, whatever protocol asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from blipvino.runtime.async_blip import AsyncBlip
from blipvino.runtime.decoding.generated import FinishReason, Generated
from blipvino.runtime.decoding.ranking import AnswerList, Ranking
from blipvino.runtime.scheduling.jobs import TextJob
from blipvino.serve.admission import Admission
from blipvino.serve.background import Background
from blipvino.serve.image_intake import SeenImage
from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import RequestLimits
from blipvino.serve.served_models import ServedModel
from blipvino.serve.single_flight import SingleFlight
from blipvino.serve.stage_times import current_times

_T = TypeVar("_T")


@dataclass(frozen=True)
class TextWork:
    """Texts to make.

    Attributes:
        model: that makes them.
        images: one a text.
        questions: one a text; None makes captions.
        prompt: that captions continue.
        options: of `GenerationOptions`, by name.
        min_confidence: texts that are less sure are blank.
        priority: below 0 others go first.
        seconds: that it may take; None is as long as the server allows.
    """

    model: ServedModel
    images: Sequence[SeenImage]
    questions: Sequence[str] | None = None
    prompt: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    min_confidence: float | None = None
    priority: int = 0
    seconds: float | None = None

    @property
    def key(self) -> tuple[Any, ...] | None:
        """The same for what has the same texts; None of what is drawn by chance."""
        if self.options.get("do_sample") and self.options.get("seed") is None:
            return None
        digests = tuple(image.digest for image in self.images)
        questions = None if self.questions is None else tuple(self.questions)
        options = tuple(sorted(self.options.items()))
        return self.model.name, digests, questions, self.prompt, options, self.min_confidence, self.priority


@dataclass(frozen=True)
class Ending:
    """How a text that was told in pieces ended.

    Attributes:
        finish_reason: "stop" if the model closed it, "length" if it was cut off.
        tokens: that were generated.
    """

    finish_reason: FinishReason
    tokens: int

    @classmethod
    def of(cls, job: TextJob) -> Ending:
        """Of a job that is done."""
        made = job.result.result()
        return cls(made.finish_reason, len(made.log_probs))


class TextService:
    """Has texts made.

    Args:
        limits: of one request.
        admission: counts what is waited for.
        background: does what is not done by the scheduler of texts.
    """

    def __init__(self, limits: RequestLimits, admission: Admission, background: Background) -> None:
        self._limits = limits
        self._admission = admission
        self._background = background
        self.flights = SingleFlight()

    async def texts(self, work: TextWork) -> list[Generated]:
        """The texts, one an image or question.

        Raises:
            RequestError: more is asked for than one request may.
            BlipvinoError: as of `AsyncBlip.caption` and `AsyncBlip.answer`.
            TimeoutError: it took too long.
        """
        self.check(work)

        async def made() -> list[Generated]:
            model = AsyncBlip(work.model.blip, lambda job: current_times().add_job(job.times))
            arrays = [image.pixels for image in work.images]
            asked: dict[str, Any] = {
                "return_scores": True,
                "min_confidence": work.min_confidence,
                "priority": work.priority,
            }
            if work.questions is None:
                result: Any = await model.caption(arrays, work.prompt, **asked, **work.options)
            else:
                result = await model.answer(arrays, list(work.questions), **asked, **work.options)
            return list(result)

        async with self._admitted(len(work.images), work.seconds):
            return await self.flights.do(work.key, made)

    async def pieces(self, work: TextWork) -> AsyncIterator[tuple[int, str | Ending]]:
        """The texts as they grow: pieces, each with the place of its text, and how that ended.

        Raises:
            RequestError: more is asked for than one request may.
            BlipvinoError: as of `AsyncBlip.caption` and `AsyncBlip.answer`.
            TimeoutError: it took too long.
        """
        self.check(work)
        heard = asyncio.Queue[tuple[int, str | Exception | Ending]]()

        async def tell(place: int) -> None:
            try:
                ended: list[Ending] = []
                async for piece in self._pieces_of(work, place, ended):
                    heard.put_nowait((place, piece))
                heard.put_nowait((place, ended[0]))
            except Exception as error:  # whatever it is, it is raised where it is heard
                heard.put_nowait((place, error))

        with self._admission.of(len(work.images)):
            telling = [asyncio.ensure_future(tell(place)) for place in range(len(work.images))]
            try:
                going_on = len(telling)
                while going_on:
                    place, piece = await heard.get()
                    if isinstance(piece, Exception):
                        raise piece
                    going_on -= isinstance(piece, Ending)
                    yield place, piece
            finally:
                for task in telling:
                    task.cancel()
                await asyncio.gather(*telling, return_exceptions=True)

    def _pieces_of(self, work: TextWork, place: int, ended: list[Ending]) -> AsyncIterator[str]:
        model = AsyncBlip(work.model.blip, lambda job: ended.append(Ending.of(job)))
        array = work.images[place].pixels
        asked: dict[str, Any] = {"priority": work.priority, "timeout": self._allowed(work.seconds)}
        if work.questions is None:
            return model.caption_pieces(array, work.prompt, **asked, **work.options)
        return model.answer_pieces(array, work.questions[place], **asked, **work.options)

    async def rank(self, work: TextWork, answers: Sequence[str], top_k: int | None) -> list[Ranking]:
        """The ranking of given answers to each question.

        Raises:
            RequestError: more is asked for than one request may.
            BlipvinoError: as of `Blip.rank`.
            TimeoutError: it took too long.
        """
        self.check(work)
        if len(answers) > self._limits.answers:
            message = f"found {len(answers)} answers, expected at most {self._limits.answers}"
            raise RequestError(422, "too_many", message, param="answers")
        self.check_characters("answers", answers)
        blip = work.model.blip

        def ranked() -> list[Ranking]:
            listed = AnswerList(answers, blip.texts)
            arrays = [image.pixels for image in work.images]
            made = blip.rank(arrays, list(work.questions or ()), listed, top_k=top_k)
            return made if isinstance(made, list) else [made]

        return await self.in_background(len(work.images), work.seconds, ranked)

    async def in_background(self, texts: int, seconds: float | None, work: Callable[[], _T]) -> _T:
        """The result of work that is none for the scheduler, admitted as so many texts.

        Raises:
            OverloadError: too many texts are waited for.
            TimeoutError: it took too long.
        """

        async def done() -> _T:
            with current_times().stage("compute"):
                return await self._background.do(work)

        async with self._admitted(texts, seconds):
            return await done()

    def check(self, work: TextWork) -> None:
        """Check that no more is asked for than one request may.

        Raises:
            RequestError: it is.
        """
        self.check_texts(len(work.images))
        self.check_characters("questions", work.questions or ())
        self.check_characters("prompt", [work.prompt] if work.prompt is not None else ())
        for name, most in (("max_new_tokens", self._limits.new_tokens), ("num_beams", self._limits.beams)):
            if work.options.get(name, 0) > most:
                message = f"{name} is {work.options[name]}, expected at most {most}, as this server allows"
                raise RequestError(422, "too_many", message, param=name)

    def check_texts(self, texts: int) -> None:
        """Check that so many texts may be asked for.

        Raises:
            RequestError: they are too many.
        """
        if texts > self._limits.texts:
            raise RequestError(
                422, "too_many", f"{texts} texts are asked for, expected at most {self._limits.texts} in one request"
            )

    def check_characters(self, name: str, texts: Sequence[str]) -> None:
        """Check that texts are no longer than is allowed.

        Raises:
            RequestError: one is.
        """
        longest = max(map(len, texts), default=0)
        if longest > self._limits.characters:
            message = f"{name}: one has {longest:,} characters, expected at most {self._limits.characters:,}"
            raise RequestError(422, "too_long", message, param=name)

    @asynccontextmanager
    async def _admitted(self, texts: int, seconds: float | None) -> AsyncIterator[None]:
        with self._admission.of(texts):
            async with asyncio.timeout(self._allowed(seconds)):
                yield

    def _allowed(self, seconds: float | None) -> float:
        return min(self._limits.seconds, seconds or self._limits.seconds)


def paired(images: Sequence[SeenImage], questions: Sequence[str]) -> tuple[list[SeenImage], list[str]]:
    """An image for every question and a question for every image.

    Raises:
        RequestError: they are not as many, and neither is one.
    """
    if len(images) == 1:
        return [images[0]] * len(questions), list(questions)
    if len(questions) == 1:
        return list(images), [questions[0]] * len(images)
    if len(images) != len(questions):
        raise RequestError(
            422,
            "invalid_field",
            f"{len(images)} images but {len(questions)} questions; give one question each, or just one",
            param="questions",
        )
    return list(images), list(questions)
