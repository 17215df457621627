"""``/v1``: captions, answers and rankings by blipvino's own names."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.decoding.ranking import Ranking
from blipvino.serve.disconnects import unless_gone
from blipvino.serve.event_stream import Event, event_stream
from blipvino.serve.native_documents import documented
from blipvino.serve.problems import RequestError
from blipvino.serve.request_body import read_body
from blipvino.serve.request_forms import (
    AnswerForm,
    CaptionForm,
    GeneratingForm,
    ImageForm,
    RankForm,
    one_or_more,
    read_form,
)
from blipvino.serve.served_models import ServedModel
from blipvino.serve.service import Service, service_of
from blipvino.serve.text_service import Ending, TextWork

Asked = TypeVar("Asked", bound=ImageForm)
router = APIRouter(prefix="/v1", tags=["blipvino"])
logger = logging.getLogger(__name__)


@router.post("/caption", **documented(CaptionForm, "Describe images"))
async def caption(request: Request) -> Response:
    """A caption of each image; with ``stream`` in pieces."""
    service, form = await asked(request, CaptionForm)
    work = _text_work(form, service.models.model(form.model, "caption"), prompt=form.prompt)
    return await unless_gone(request, _texts(service, form, work))


@router.post("/answer", **documented(AnswerForm, "Answer questions about images"))
async def answer(request: Request) -> Response:
    """An answer to each question; with ``stream`` in pieces."""
    service, form = await asked(request, AnswerForm)
    questions = one_or_more(form.question, form.questions, "question", "questions")
    work = _text_work(form, service.models.model(form.model, "answer"), questions=questions)
    return await unless_gone(request, _texts(service, form, work))


@router.post("/rank", **documented(RankForm, "Rank given answers"))
async def rank(request: Request) -> Response:
    """The given answers to each question, from the likeliest to the least likely."""
    service, form = await asked(request, RankForm)
    model = service.models.model(form.model, "rank")
    questions = one_or_more(form.question, form.questions, "question", "questions")
    work = TextWork(model, questions, answers=form.answers, top_k=form.top_k, urgency=form.urgency)
    return await unless_gone(request, _rankings(service, form, work))


async def asked(request: Request, kind: type[Asked]) -> tuple[Service, Asked]:
    """What is asked for, and what it is asked of.

    Raises:
        RequestError: the models are being loaded, or as of `read_body` and `read_form`.
        OverloadError: as of `read_body`.
    """
    service = service_of(request)
    service.models.check_ready()
    return service, read_form(kind, await read_body(request, service))


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
        urgency=form.urgency,
    )


async def _texts(service: Service, form: GeneratingForm, work: TextWork) -> Response:
    """The texts at once, or as they grow."""
    if form.stream and (form.scores or form.min_confidence is not None):
        message = "stream tells a text before its scores are known; leave out scores and min_confidence"
        raise RequestError(422, "invalid_field", message, param="stream")
    work = await service.texts.seen(work, form.take_images())
    if form.stream:
        return await event_stream(_events(service, work), lambda problem: Event(problem.to_json(), "error"), _log)
    made = await service.texts.texts(work)
    results = [{**_asked(work, place), **generated_json(text, scores=form.scores)} for place, text in enumerate(made)]
    return JSONResponse({"model": work.model.name, "results": results})


async def _rankings(service: Service, form: RankForm, work: TextWork) -> Response:
    work = await service.texts.seen(work, form.take_images())
    rankings = await service.texts.rank(work)
    results = [{**_asked(work, place), **_ranking(made)} for place, made in enumerate(rankings)]
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
