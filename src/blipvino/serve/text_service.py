"""Captions, answers and rankings of images that were sent, whatever protocol asks for them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from blipvino.runtime.async_blip import AsyncBlip, Urgency
from blipvino.runtime.decoding.generated import FinishReason, Generated
from blipvino.runtime.decoding.ranking import AnswerList, Ranking
from blipvino.runtime.scheduling.jobs import TextJob
from blipvino.serve.admission import Admission
from blipvino.serve.background import Background
from blipvino.serve.image_intake import ImageIntake, SeenImage, Sent
from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import RequestLimits
from blipvino.serve.served_models import ServedModel
from blipvino.serve.single_flight import SingleFlight
from blipvino.serve.stage_times import current_times

_T = TypeVar("_T")
ANSWERS_OF_A_TEXT = 16
"""Answers whose ranking is counted as one text."""


@dataclass(frozen=True)
class TextWork:
    """Texts to make.

    Attributes:
        model: that makes them.
        questions: that are asked; None makes captions.
        prompt: that captions continue.
        options: of `GenerationOptions`, by name.
        min_confidence: texts that are less sure are blank.
        answers: to choose from; None generates texts.
        top_k: answers that are ranked; None is all.
        captions: of each image.
        urgency: how soon they are wanted.
        images: one a text, once they were seen.
    """

    model: ServedModel
    questions: Sequence[str] | None = None
    prompt: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    min_confidence: float | None = None
    answers: Sequence[str] | None = None
    top_k: int | None = None
    captions: int = 1
    urgency: Urgency = field(default_factory=Urgency)
    images: Sequence[SeenImage] = ()

    @property
    def key(self) -> tuple[Any, ...] | None:
        """The same for what has the same texts; None of what is drawn by chance."""
        if self.options.get("do_sample") and self.options.get("seed") is None:
            return None
        digests = tuple(image.digest for image in self.images)
        questions = None if self.questions is None else tuple(self.questions)
        options, priority = tuple(sorted(self.options.items())), self.urgency.priority
        return self.model.name, digests, questions, self.prompt, options, self.min_confidence, priority

    @property
    def kind(self) -> tuple[str, str]:
        """The same for what takes about as long."""
        task = "caption" if self.questions is None else "answer" if self.answers is None else "rank"
        return self.model.name, task

    def weight(self, texts: int) -> int:
        """So many of its texts in texts of its kind: one of a ranking is a few answers."""
        ranked = min(len(self.answers or ()), self.top_k or len(self.answers or ()))
        return texts * max(1, math.ceil(ranked / ANSWERS_OF_A_TEXT))


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
        intake: decodes images.
        admission: counts what is waited for.
        background: does what is not done by the scheduler of texts.
    """

    def __init__(
        self, limits: RequestLimits, intake: ImageIntake, admission: Admission, background: Background
    ) -> None:
        self._limits = limits
        self._intake = intake
        self._admission = admission
        self._background = background
        self.flights = SingleFlight()

    async def seen(self, work: TextWork, sent: list[Sent]) -> TextWork:
        """The work with its images, which are decoded when nothing else speaks against it.

        Args:
            work: without images.
            sent: they, which are taken out of the list.

        Raises:
            RequestError: more is asked for than one request may, or as `ImageIntake.images`.
            OverloadError: too many texts are waited for.
            BlipvinoError: a text, an option or an image is not allowed.
        """
        self._intake.check(sent)
        places, questions = _paired(len(sent), work)
        self._check(work, len(places))
        images = await self._intake.images(sent, work.model)
        return replace(work, images=[images[place] for place in places], questions=questions)

    async def texts(self, work: TextWork) -> list[Generated]:
        """The texts, one an image or question.

        Raises:
            OverloadError: too many texts are waited for.
            BlipvinoError: as of `AsyncBlip.caption` and `AsyncBlip.answer`.
            TimeoutError: it took too long.
        """

        async def made() -> list[Generated]:
            model = AsyncBlip(work.model.blip, lambda job: current_times().add_job(job.times))
            images = [image.content for image in work.images]
            asked: dict[str, Any] = {
                "return_scores": True,
                "min_confidence": work.min_confidence,
                "priority": work.urgency.priority,
            }
            with self._admission.of(work.kind, len(work.images)):
                if work.questions is None:
                    result: Any = await model.caption(images, work.prompt, **asked, **work.options)
                else:
                    result = await model.answer(images, list(work.questions), **asked, **work.options)
            return list(result)

        async with asyncio.timeout(self._allowed(work.urgency)):
            return await self.flights.do(work.key, made)

    async def pieces(self, work: TextWork) -> AsyncIterator[tuple[int, str | Ending]]:
        """The texts as they grow: pieces, each with the place of its text, and how that ended.

        Raises:
            OverloadError: too many texts are waited for.
            BlipvinoError: as of `AsyncBlip.caption` and `AsyncBlip.answer`.
        """
        heard = asyncio.Queue[tuple[int, str | Exception | Ending]]()

        async def tell(place: int) -> None:
            try:
                ended: list[Ending] = []
                async for piece in self._pieces_of(work, place, ended):
                    heard.put_nowait((place, piece))
                heard.put_nowait((place, ended[0]))
            except Exception as error:  # whatever it is, it is raised where it is heard
                heard.put_nowait((place, error))

        with self._admission.of(work.kind, len(work.images)):
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
        image = work.images[place].content
        asked: dict[str, Any] = {"priority": work.urgency.priority, "timeout": self._allowed(work.urgency)}
        if work.questions is None:
            return model.caption_pieces(image, work.prompt, **asked, **work.options)
        return model.answer_pieces(image, work.questions[place], **asked, **work.options)

    async def rank(self, work: TextWork) -> list[Ranking]:
        """The ranking of given answers to each question.

        Raises:
            OverloadError: too many texts are waited for.
            BlipvinoError: as of `Blip.rank`.
            TimeoutError: it took too long.
        """
        blip = work.model.blip

        def ranked() -> list[Ranking]:
            listed = AnswerList(work.answers or (), blip.texts)
            images = [image.content for image in work.images]
            made = blip.rank(images, list(work.questions or ()), listed, top_k=work.top_k)
            return made if isinstance(made, list) else [made]

        return await self.in_background(work.kind, work.weight(len(work.images)), work.urgency, ranked)

    async def images(self, model: ServedModel, sent: list[Sent]) -> list[SeenImage]:
        """Images for a model, as `ImageIntake.images`.

        Raises:
            RequestError: as `ImageIntake.images`.
            ImageError: one cannot be decoded, or is not taken.
        """
        return await self._intake.images(sent, model)

    async def in_background(self, kind: tuple[str, str], texts: int, urgency: Urgency, work: Callable[[], _T]) -> _T:
        """The result of work that is none for the scheduler, admitted as so many texts of a kind.

        Raises:
            OverloadError: too many texts are waited for.
            TimeoutError: it took too long.
        """
        with self._admission.of(kind, texts):
            async with asyncio.timeout(self._allowed(urgency)):
                with current_times().stage("compute"):
                    return await self._background.do(work, urgency.priority)

    def check_texts(self, kind: tuple[str, str], texts: int, weight: int | None = None) -> None:
        """Check that so many texts of a kind may be asked for, and would be let in.

        Args:
            kind: of them.
            texts: how many.
            weight: as how many they are admitted.

        Raises:
            RequestError: they are more than one request may ask for.
            OverloadError: too many are waited for.
        """
        if texts > self._limits.texts:
            raise RequestError(
                422, "too_many", f"{texts} texts are asked for, expected at most {self._limits.texts} in one request"
            )
        self._admission.check(kind, texts if weight is None else weight)

    def check_characters(self, name: str, texts: Sequence[str]) -> None:
        """Check that texts are no longer than is allowed.

        Raises:
            RequestError: one is.
        """
        longest = max(map(len, texts), default=0)
        if longest > self._limits.characters:
            message = f"{name}: one has {longest:,} characters, expected at most {self._limits.characters:,}"
            raise RequestError(422, "too_long", message, param=name)

    def _check(self, work: TextWork, texts: int) -> None:
        """Check whatever can be checked without images."""
        answers = work.answers or ()
        if len(answers) > self._limits.answers:
            message = f"found {len(answers)} answers, expected at most {self._limits.answers}"
            raise RequestError(422, "too_many", message, param="answers")
        self.check_characters("questions", work.questions or ())
        self.check_characters("prompt", [work.prompt] if work.prompt is not None else ())
        self.check_characters("answers", answers)
        for name, most in (("max_new_tokens", self._limits.new_tokens), ("num_beams", self._limits.beams)):
            if work.options.get(name, 0) > most:
                message = f"{name} is {work.options[name]}, expected at most {most}, as this server allows"
                raise RequestError(422, "too_many", message, param=name)
        self.check_texts(work.kind, texts, work.weight(texts))
        components = work.model.blip.components
        components.request(work.prompt, 1, False, work.options)
        for question in dict.fromkeys(work.questions or ()):
            components.texts.question(question)

    def _allowed(self, urgency: Urgency) -> float:
        return min(self._limits.seconds, urgency.timeout or self._limits.seconds)


def _paired(images: int, work: TextWork) -> tuple[list[int], Sequence[str] | None]:
    """For every text the place of its image, and its question: an image for every question, and the other way round.

    Raises:
        RequestError: they are not as many, and neither is one.
    """
    questions = work.questions
    if questions is None:
        return [place for place in range(images) for _ in range(work.captions)], None
    if images == 1:
        return [0] * len(questions), questions
    if len(questions) == 1:
        return list(range(images)), [*questions] * images
    if images != len(questions):
        raise RequestError(
            422,
            "invalid_field",
            f"{images} images but {len(questions)} questions; give one question each, or just one",
            param="questions",
        )
    return list(range(images)), questions
