"""OpenAI's ``/v1/chat/completions`` and ``/v1/models``: whatever speaks to OpenAI's models can ask these.

Written after OpenAI's API reference (platform.openai.com/docs/api-reference/chat).
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.serve.disconnects import unless_gone
from blipvino.serve.event_stream import Event, event_stream
from blipvino.serve.image_intake import Sent
from blipvino.serve.native_documents import documented
from blipvino.serve.openai_messages import ChatForm
from blipvino.serve.openai_stops import StoppedText, stopped
from blipvino.serve.problems import RequestError
from blipvino.serve.request_body import read_body
from blipvino.serve.request_forms import read_json
from blipvino.serve.served_models import ServedModel
from blipvino.serve.service import Service, service_of
from blipvino.serve.shown_names import shown_checkpoint
from blipvino.serve.text_service import Ending, TextWork

router = APIRouter(prefix="/v1", tags=["OpenAI"])
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Completion:
    """One response, in whole or in pieces."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def of(self, kind: str, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "system_fingerprint": None,
            **more,
        }

    def chunk(self, place: int, delta: dict[str, Any], reason: str | None = None) -> Event:
        choice = {"index": place, "delta": delta, "logprobs": None, "finish_reason": reason}
        return Event(self.of("chat.completion.chunk", [choice]))


@router.get("/models", summary="The models that are served")
async def list_models(request: Request) -> JSONResponse:
    """All models, with what each can do."""
    models = service_of(request).models
    models.check_ready()
    return JSONResponse({"object": "list", "data": [_model_json(served) for served in models.models.values()]})


@router.get("/models/{name}", summary="One of the models", responses={404: {"description": "No such model"}})
async def one_model(request: Request, name: str) -> JSONResponse:
    """A model, with what it can do."""
    return JSONResponse(_model_json(service_of(request).models.named(name)))


@router.post("/chat/completions", **documented(ChatForm, "Caption, or answer, as OpenAI's models do"))
async def chat(request: Request) -> Response:
    """A caption of the last image, or an answer to the user's last question about it."""
    service = service_of(request)
    service.models.check_ready()
    form = read_json(ChatForm, await read_body(request, service))
    return await unless_gone(request, _answered(service, form))


async def _answered(service: Service, form: ChatForm) -> Response:
    model = service.models.model(form.model, "caption")
    sent: list[Sent] = [("image_url", form.image)]
    question = form.question if "answer" in model.tasks else None
    form.messages.clear()  # images are let go when they are decoded
    if form.stream and form.logprobs:
        raise RequestError(422, "unsupported", "logprobs are known at a text's end alone", param="logprobs")
    count = form.n or 1
    questions = None if question is None else [question] * count
    work = await service.texts.seen(TextWork(model, questions, options=form.generation, captions=count), sent)
    completion = _Completion(model.name)
    if form.stream:
        events = _chunks(service, form, work, completion)
        return await event_stream(events, lambda problem: Event(problem.to_json()), _log)
    made = await service.texts.texts(work)
    choices = [_choice(place, text, form, model.blip.texts) for place, text in enumerate(made)]
    usage = _usage(model, question, sum(len(text.token_logprobs) for text in made))
    return JSONResponse(completion.of("chat.completion", choices, usage=usage))


async def _chunks(service: Service, form: ChatForm, work: TextWork, completion: _Completion) -> AsyncIterator[Event]:
    told, tokens = dict[int, StoppedText](), 0
    async for place, piece in service.texts.pieces(work):
        if place not in told:
            told[place] = StoppedText(form.stops)
            yield completion.chunk(place, {"role": "assistant", "content": ""})
        text = told[place]
        new = text.rest() if isinstance(piece, Ending) else text.grown(piece)
        if new:
            yield completion.chunk(place, {"content": new})
        if isinstance(piece, Ending):
            tokens += piece.tokens
            yield completion.chunk(place, {}, "stop" if text.has_ended else piece.finish_reason)
    if form.stream_options is not None and form.stream_options.include_usage:
        question = None if work.questions is None else work.questions[0]
        yield Event(completion.of("chat.completion.chunk", [], usage=_usage(work.model, question, tokens)))
    yield Event("[DONE]")


def _choice(place: int, made: Generated, form: ChatForm, texts: TextProcessor) -> dict[str, Any]:
    text, is_stopped = stopped(made.text, form.stops)
    return {
        "index": place,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": {"content": _logprobs(made, texts), "refusal": None} if form.logprobs else None,
        "finish_reason": "stop" if is_stopped else made.finish_reason,
    }


def _logprobs(made: Generated, texts: TextProcessor) -> list[dict[str, Any]]:
    """Of each token that is part of the text; the closing one is none."""
    generated = made.token_ids[1:]
    words = [texts.decode([token]) for token in generated]
    return [
        {"token": word, "logprob": logprob, "bytes": list(word.encode()), "top_logprobs": []}
        for word, logprob in zip(words, made.token_logprobs, strict=False)
    ]


def _usage(model: ServedModel, question: str | None, completion_tokens: int) -> dict[str, int]:
    prompt = 0 if question is None else len(model.blip.texts.question(question))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
    }


def _model_json(served: ServedModel) -> dict[str, Any]:
    return {
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": "blipvino",
        "tasks": list(served.tasks),
        "recipe": served.loaded.bundle.label,
        "checkpoint": shown_checkpoint(served.loaded.bundle.manifest.source.name),
    }


def _log(error: Exception) -> None:
    logger.warning("a text ended early: %s", error)
