"""PhotoPrism's vision API: a photo library that is told of ``/api/v1/vision/caption`` captions its photos here.

What PhotoPrism sends and expects is in its ``internal/ai/vision`` (api_request.go, api_response.go).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from blipvino.serve.disconnects import unless_gone
from blipvino.serve.image_intake import Sent
from blipvino.serve.native_documents import STATUSES, documented
from blipvino.serve.problems import RequestError
from blipvino.serve.request_body import JSON, read_body
from blipvino.serve.request_forms import read_json
from blipvino.serve.service import Service, service_of
from blipvino.serve.text_service import TextWork

router = APIRouter(prefix="/api/v1/vision", tags=["PhotoPrism"])


class VisionForm(BaseModel):
    """What PhotoPrism sends. A prompt is for models that are instructed, which BLIP is not: it is passed over."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    id: str | None = None
    model: str | None = None
    url: str | None = Field(None, description="Of the image, where the server fetches.")
    images: list[str] | None = Field(None, description="Data URLs; the first is captioned.")


_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["code", "error"],
    "properties": {"code": {"type": "integer"}, "error": {"type": "string"}, "id": {"type": "string"}},
}
_DOCUMENTED = {
    **documented(VisionForm, "Caption a photo for PhotoPrism"),
    "responses": {
        status: {"description": meaning, "content": {JSON: {"schema": _ERROR}}} for status, meaning in STATUSES.items()
    },
}


@router.post("/caption", **_DOCUMENTED)
async def caption(request: Request) -> Response:
    """A caption, by the model that the request names, or the first."""
    return await _captioned(request, None)


@router.post("/caption/{model}", **_DOCUMENTED)
async def caption_by(request: Request, model: str) -> Response:
    """A caption, by the model that the path names."""
    return await _captioned(request, model)


@router.post("/caption/{model}/{version}", **_DOCUMENTED)
async def caption_by_version(request: Request, model: str, version: str) -> Response:
    """A caption, by the model that the path names; there is but one version of each."""
    return await _captioned(request, model)


async def _captioned(request: Request, model: str | None) -> Response:
    service = service_of(request)
    service.models.check_ready()
    form = read_json(VisionForm, await read_body(request, service))
    answer_id = form.id or request.state.request_id
    return await unless_gone(request, _caption_of(service, form, model or form.model or None, answer_id))


async def _caption_of(service: Service, form: VisionForm, name: str | None, answer_id: str) -> Response:
    model = service.models.model(name, "caption")
    sent: list[Sent]
    if form.images:
        sent = [("images[0]", form.images[0])]
    elif form.url:
        sent = [("url", form.url)]
    else:
        raise RequestError(400, "no_image", "images are missing; send one as a data URL", param="images")
    form.images = None  # they are let go when they are decoded
    (made,) = await service.texts.texts(await service.texts.seen(TextWork(model), sent))
    size = model.loaded.config.vision.image_size
    bundle = model.loaded.bundle
    content = {
        "id": answer_id,
        "code": 200,
        "model": {"type": "caption", "name": model.name, "version": bundle.label, "resolution": size},
        "result": {"caption": {"text": made.text, "source": "image", "confidence": made.confidence}},
    }
    return JSONResponse(content)
