"""``/v1``: captions, answers and rankings by blipvino's own names."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.decoding.ranking import Ranking
from blipvino.serve.disconnects import unless_gone
from blipvino.serve.event_stream import Event, event_stream
from blipvino.serve.image_intake import Sent
from blipvino.serve.native_documents import documented
from blipvino.serve.problems import RequestError
from blipvino.serve.request_body import read_body
from blipvino.serve.request_forms import AnswerForm, CaptionForm, GeneratingForm, RankForm, one_or_more, read_form
from blipvino.serve.served_models import ServedModel
from blipvino.serve.service import Service, service_of
from blipvino.serve.text_service import Ending, TextWork, paired

router = APIRouter(prefix="/v1", tags=["blipvino"])
logger = logging.getLogger(__name__)


@router.post("/caption", **documented(CaptionForm, "Describe images"))
async def caption(request: Request) -> Response:
    """A caption of each image; with ``stream`` in pieces."""
    service = service_of(request)
    service.models.check_ready()
    form, files = read_form(CaptionForm, await read_body(request, service.settings.limits))

    async def work() -> TextWork:
        model = service.models.model(form.model, "caption")
        images = await service.images(model, both(form.given_images, files))
        return _text_work(form, model, images=images, prompt=form.prompt)

    return await unless_gone(request, _texts(service, form, await unless_gone(request, work())))


@router.post("/answer", **documented(AnswerForm, "Answer questions about images"))
async def answer(request: Request) -> Response:
    """An answer to each question; with ``stream`` in pieces."""
    service = service_of(request)
    service.models.check_ready()
    form, files = read_form(AnswerForm, await read_body(request, service.settings.limits))

    async def work() -> TextWork:
        model = service.models.model(form.model, "answer")
        questions = one_or_more(form.question, form.questions, "question", "questions")
        service.texts.check_texts(len(questions))
        images, questions = paired(await service.images(model, both(form.given_images, files)), questions)
        return _text_work(form, model, images=images, questions=questions)

    return await unless_gone(request, _texts(service, form, await unless_gone(request, work())))


@router.post("/rank", **documented(RankForm, "Rank given answers"))
async def rank(request: Request) -> Response:
    """The given answers to each question, from the likeliest to the least likely."""
    service = service_of(request)
    service.models.check_ready()
    form, files = read_form(RankForm, await read_body(request, service.settings.limits))

    async def ranked() -> Response:
        model = service.models.model(form.model, "rank")
        asked = one_or_more(form.question, form.questions, "question", "questions")
        service.texts.check_texts(len(asked))
        images, questions = paired(await service.images(model, both(form.given_images, files)), asked)
        work = TextWork(model, images, questions, seconds=form.timeout)
        rankings = await service.texts.rank(work, form.answers, form.top_k)
        results = [{"question": text, **_ranking(made)} for text, made in zip(questions, rankings, strict=True)]
        return JSONResponse({"model": model.name, "results": results})

    return await unless_gone(request, ranked())


def both(given: Sequence[tuple[str, str]], files: Sequence[tuple[str, bytes]]) -> list[Sent]:
    """The images of a request: those in its fields, or those that came as files.

    Raises:
        RequestError: there are both.
    """
    if given and files:
        raise RequestError(422, "invalid_field", "images came as files and as text; send them as one of these")
    return [*given, *files]


def generated_json(made: Generated, *, scores: bool) -> dict[str, Any]:
    """A text, how it ended and how sure it is."""
    content: dict[str, Any] = {
        "text": made.text,
        "finish_reason": made.finish_reason,
        "confidence": made.confidence,
        "calibrated": made.calibrated,
        "withheld": made.withheld,
    }
    if scores:
        content |= {
            "logprob": made.logprob,
            "mean_logprob": made.mean_logprob,
            "token_logprobs": list(made.token_logprobs),
            "token_ids": list(made.token_ids),
        }
    return content


def _text_work(form: GeneratingForm, model: ServedModel, **parts: Any) -> TextWork:
    return TextWork(
        model,
        **parts,
        options=form.generation,
        min_confidence=form.min_confidence,
        priority=form.priority,
        seconds=form.timeout,
    )


async def _texts(service: Service, form: GeneratingForm, work: TextWork) -> Response:
    """The texts at once, or as they grow."""
    if form.stream:
        if form.scores or form.min_confidence is not None:
            message = "stream tells a text before its scores are known; leave out scores and min_confidence"
            raise RequestError(422, "invalid_field", message, param="stream")
        return await event_stream(_events(service, work), lambda problem: Event(problem.to_json(), "error"), _log)
    made = await service.texts.texts(work)
    results = [{**_asked(work, place), **generated_json(text, scores=form.scores)} for place, text in enumerate(made)]
    return JSONResponse({"model": work.model.name, "results": results})


async def _events(service: Service, work: TextWork) -> AsyncIterator[Event]:
    texts = [""] * len(work.images)
    async for place, piece in service.texts.pieces(work):
        if isinstance(piece, Ending):
            whole = {"text": texts[place], "finish_reason": piece.finish_reason}
            yield Event({"index": place, **_asked(work, place), **whole}, "result")
        else:
            texts[place] += piece
            yield Event({"index": place, "text": piece})
    yield Event({"model": work.model.name}, "done")


def _asked(work: TextWork, place: int) -> dict[str, str]:
    return {} if work.questions is None else {"question": work.questions[place]}


def _ranking(ranking: Ranking) -> dict[str, Any]:
    return {
        "answer": ranking.answer,
        "answers": list(ranking.answers),
        "log_likelihoods": list(ranking.log_likelihoods),
        "confidence": ranking.confidence,
        "calibrated": ranking.calibrated,
    }


def _log(error: Exception) -> None:
    logger.warning("a text ended early: %s", error)
