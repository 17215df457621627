"""The Open Inference Protocol, version 2, with its extension for binary tensors: what KServe's and Triton's clients
speak.

A model that generates takes images, and texts of questions for them, and gives texts; one for retrieval takes images
and texts, and gives embeddings, or how well they fit. In JSON an image is base64; in a binary tensor it is the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from blipvino import __version__
from blipvino.runtime.async_blip import Urgency
from blipvino.serve.disconnects import unless_gone
from blipvino.serve.image_intake import Sent
from blipvino.serve.inference_tensors import InferenceForm, OutputTensor, Values, read_inputs, response_body
from blipvino.serve.native_documents import body_schema, error_responses
from blipvino.serve.problems import RequestError
from blipvino.serve.request_body import checked_json, read_bytes
from blipvino.serve.request_forms import LEAST_PRIORITY, GeneratingForm, refused_fields
from blipvino.serve.served_models import ServedModel
from blipvino.serve.service import Service, service_of
from blipvino.serve.text_service import TextWork

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
_HEAD_LENGTH = "Inference-Header-Content-Length"
_VERSION = "1"
_TEXT_OUTPUTS = ("text", "confidence", "logprob", "finish_reason")
_RETRIEVAL_OUTPUTS = ("image_embedding", "text_embedding", "match")
_MICROSECONDS = 1e-6
_LONGEST_TIMEOUT = 10**12
_ERRORS = error_responses({"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}})
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": body_schema(InferenceForm)}}}}


@router.get("", summary="What this server is")
async def server_metadata() -> JSONResponse:
    """Name, version and extensions."""
    return JSONResponse({"name": "blipvino", "version": __version__, "extensions": ["binary_tensor_data"]})


@router.get("/health/live", summary="Whether the process lives")
async def live() -> JSONResponse:
    """200 as long as it does."""
    return JSONResponse({"live": True})


@router.get("/health/ready", summary="Whether the models are loaded", responses={503: {"description": "Not yet"}})
async def ready(request: Request) -> JSONResponse:
    """200 when requests are taken."""
    answer = service_of(request).is_ready
    return JSONResponse({"ready": answer}, 200 if answer else 503)


@router.get("/models/{name}", summary="A model's inputs and outputs", responses=_ERRORS)
@router.get("/models/{name}/versions/{version}", summary="A model's inputs and outputs", responses=_ERRORS)
async def model_metadata(request: Request, name: str, version: str = _VERSION) -> JSONResponse:
    """Name, inputs and outputs."""
    served = _named(service_of(request), name, version)
    inputs, outputs = _tensors(served)
    return JSONResponse(
        {"name": name, "versions": [_VERSION], "platform": "blipvino", "inputs": inputs, "outputs": outputs}
    )


@router.get("/models/{name}/ready", summary="Whether a model is loaded", responses=_ERRORS)
@router.get("/models/{name}/versions/{version}/ready", summary="Whether a model is loaded", responses=_ERRORS)
async def model_ready(request: Request, name: str, version: str = _VERSION) -> JSONResponse:
    """200 when it is."""
    _named(service_of(request), name, version)
    return JSONResponse({"name": name, "ready": True})


@router.post("/models/{name}/infer", summary="Run a model", responses=_ERRORS, openapi_extra=_BODY)
@router.post("/models/{name}/versions/{version}/infer", summary="Run a model", responses=_ERRORS, openapi_extra=_BODY)
async def infer(request: Request, name: str, version: str = _VERSION) -> Response:
    """Texts, embeddings or matches of a request's tensors."""
    service = service_of(request)
    served = _named(service, name, version)
    content = await read_bytes(request, service)
    length = request.headers.get(_HEAD_LENGTH, str(len(content)))
    if not length.isdecimal() or len(length) > 12 or int(length) > len(content):
        raise RequestError(400, "invalid_header", f"{_HEAD_LENGTH} is {length[:20]!r}, not within the body")
    try:
        form = InferenceForm.model_validate_json(checked_json(content[: int(length)]), strict=True)
    except ValidationError as error:
        raise refused_fields(error) from None
    values = read_inputs(form, content[int(length) :])
    del content  # images are let go when they are decoded
    return await unless_gone(request, _inferred(service, served, form, values))


async def _inferred(service: Service, served: ServedModel, form: InferenceForm, values: Values) -> Response:
    known = {tensor["name"] for tensor in _tensors(served)[0]}
    unknown = sorted(set(values) - known)
    if unknown:
        message = f"no input {unknown[0][:40]!r} here; there are {', '.join(sorted(known))}"
        raise RequestError(422, "invalid_tensor", message, param="inputs")
    possible = _RETRIEVAL_OUTPUTS if "embed" in served.tasks else _TEXT_OUTPUTS
    wanted = [output.name for output in form.outputs]
    if not set(wanted) <= set(possible):
        raise RequestError(422, "invalid_tensor", f"outputs are {', '.join(possible)}", param="outputs")
    sent = [(f"image[{place}]", value) for place, value in enumerate(values.pop("image", ()))]
    texts = [_text(value) for name in ("question", "text") for value in values.get(name, ())]
    if "embed" in served.tasks:
        made = await _compared(service, served, form, sent, texts)
    else:
        prompts = [_text(value) for value in values.get("prompt", ())]
        if not sent:
            raise RequestError(422, "invalid_tensor", "there is no input image", param="inputs")
        made = await _generated(service, await service.texts.seen(_work(served, form, texts, prompts), sent))
    outputs = [tensor for tensor in made if not wanted or tensor.name in wanted]
    head = {"model_name": served.name, "model_version": _VERSION, **({"id": form.id} if form.id else {})}
    body, length = response_body(head, outputs, form)
    headers = {_HEAD_LENGTH: str(length)} if length < len(body) else {}
    return Response(body, media_type="application/octet-stream" if headers else "application/json", headers=headers)


def _work(served: ServedModel, form: InferenceForm, questions: list[str], prompts: list[str]) -> TextWork:
    if len(prompts) > 1 or (prompts and questions):
        raise RequestError(422, "invalid_tensor", "prompt is one text, and of captions alone", param="inputs")
    prompt = prompts[0] if prompts else None
    options = _options(form)
    return TextWork(
        served, questions or None, prompt, options.generation, options.min_confidence, urgency=_urgency(form)
    )


def _options(form: InferenceForm) -> GeneratingForm:
    given = {name: value for name, value in form.parameters.items() if name in GeneratingForm.model_fields}
    given = {name: value for name, value in given.items() if name not in ("timeout", "priority", "stream", "scores")}
    try:
        return GeneratingForm.model_validate(given, strict=True)
    except ValidationError as error:
        raise refused_fields(error) from None


async def _generated(service: Service, work: TextWork) -> list[OutputTensor]:
    made = await service.texts.texts(work)
    return [
        OutputTensor("text", [text.text for text in made]),
        OutputTensor("confidence", np.array([text.confidence for text in made], np.float32)),
        OutputTensor("logprob", np.array([text.logprob for text in made], np.float32)),
        OutputTensor("finish_reason", [text.finish_reason for text in made]),
    ]


async def _compared(
    service: Service, served: ServedModel, form: InferenceForm, sent: list[Sent], texts: list[str]
) -> list[OutputTensor]:
    """What was asked for; else how texts fit where there are both, and embeddings where there is one of them."""
    urgency, made = _urgency(form), list[OutputTensor]()
    asked = {output.name for output in form.outputs}
    asked = asked or ({"match"} if sent and texts else set(_RETRIEVAL_OUTPUTS) - {"match"})
    if not sent and not texts:
        raise RequestError(422, "invalid_tensor", "there is no input", param="inputs")
    if "match" in asked and not (sent and texts):
        raise RequestError(422, "invalid_tensor", "match needs images and texts", param="inputs")
    images = await service.retrieval.seen(served, "match" if "match" in asked else "embed", sent, texts)
    if "match" in asked:
        made.append(OutputTensor("match", await service.retrieval.match(served, images, texts, urgency)))
    if asked - {"match"}:
        embedded = await service.retrieval.embed(served, images, texts, urgency)
        made += [OutputTensor("image_embedding", embedded.images)] if images else []
        made += [OutputTensor("text_embedding", embedded.texts)] if texts else []
    return made


def _named(service: Service, name: str, version: str) -> ServedModel:
    if version != _VERSION:
        raise RequestError(404, "model_not_found", f"no version {version[:20]!r} of {name[:80]!r}, only {_VERSION}")
    return service.models.named(name)


def _tensors(served: ServedModel) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A model's inputs and outputs."""
    some, one_each = [-1], [-1]
    if "embed" in served.tasks:
        width = served.loaded.config.image_text_hidden_size
        outputs = [("image_embedding", "FP32", [-1, width]), ("text_embedding", "FP32", [-1, width])]
        named = [("image", "BYTES", some), ("text", "BYTES", some)], [*outputs, ("match", "FP32", [-1, -1])]
    else:
        questions = [("question", "BYTES", some)] if "answer" in served.tasks else []
        kinds = {"confidence": "FP32", "logprob": "FP32"}
        named = (
            [("image", "BYTES", some), *questions, ("prompt", "BYTES", [1])],
            [(name, kinds.get(name, "BYTES"), one_each) for name in _TEXT_OUTPUTS],
        )
    inputs, outputs_ = (
        [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in tensors] for tensors in named
    )
    return inputs, outputs_


def _text(value: str | bytes) -> str:
    try:
        return value if isinstance(value, str) else value.decode()
    except UnicodeDecodeError:
        raise RequestError(422, "invalid_tensor", "a text is not in UTF-8", param="inputs") from None


def _urgency(form: InferenceForm) -> Urgency:
    """Triton's parameters: a time in microseconds; a priority, the highest of which is 1, and 0 the usual one.

    Raises:
        RequestError: one is of another type, or below 0.
    """
    given = {name: form.parameters.get(name, 0) for name in ("timeout", "priority")}
    for name, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            message = f"{name} is {str(value)[:40]!r}, expected an integer, 0 or more"
            raise RequestError(422, "invalid_field", message, param=f"parameters.{name}")
    priority = max(LEAST_PRIORITY, min(0, 1 - given["priority"]))
    return Urgency(priority, min(given["timeout"], _LONGEST_TIMEOUT) * _MICROSECONDS or None)
