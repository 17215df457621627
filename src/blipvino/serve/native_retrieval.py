"""``/v1``: embeddings, matches and searches."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from blipvino.retrieval.photo_search import SearchOptions
from blipvino.serve.disconnects import unless_gone
from blipvino.serve.native import both
from blipvino.serve.native_documents import documented
from blipvino.serve.problems import RequestError
from blipvino.serve.request_body import read_body
from blipvino.serve.request_forms import EmbedForm, MatchForm, SearchForm, one_or_more, read_form
from blipvino.serve.retrieval_service import SearchWork
from blipvino.serve.service import Service, service_of

router = APIRouter(prefix="/v1", tags=["blipvino"])


@router.post("/embed", **documented(EmbedForm, "Embed images and texts"))
async def embed(request: Request) -> Response:
    """The embedding of each image and of each text, of length 1: their inner products tell what goes together."""
    service = service_of(request)
    service.models.check_ready()
    form, files = read_form(EmbedForm, await read_body(request, service.settings.limits))

    async def embedded() -> Response:
        model = service.models.model(form.model, "embed")
        sent = both(form.given_images, files)
        has_texts = form.text is not None or form.texts is not None
        texts = one_or_more(form.text, form.texts, "text", "texts") if has_texts else []
        if not sent and not texts:
            raise RequestError(422, "invalid_field", "give images, texts or both")
        images = await service.images(model, sent) if sent else []
        made = await service.retrieval.embed(model, images, texts, form.timeout)
        content = {"images": made.images.tolist(), "texts": made.texts.tolist()}
        return JSONResponse({"model": model.name, **content})

    return await unless_gone(request, embedded())


@router.post("/match", **documented(MatchForm, "Match images with texts"))
async def match(request: Request) -> Response:
    """How probable it is that each text fits each image: a row an image, a column a text."""
    service = service_of(request)
    service.models.check_ready()
    form, files = read_form(MatchForm, await read_body(request, service.settings.limits))

    async def matched() -> Response:
        model = service.models.model(form.model, "match")
        texts = one_or_more(form.text, form.texts, "text", "texts")
        service.texts.check_texts(len(texts))
        images = await service.images(model, both(form.given_images, files))
        made = await service.retrieval.match(model, images, texts, form.timeout)
        return JSONResponse({"model": model.name, "probabilities": made.tolist()})

    return await unless_gone(request, matched())


@router.post("/search", **documented(SearchForm, "Find photos in an index"))
async def search(request: Request) -> Response:
    """The photos that a text fits best, or that are most like an image, best first."""
    service = service_of(request)
    service.models.check_ready()
    form, files = read_form(SearchForm, await read_body(request, service.settings.limits))
    return await unless_gone(request, _found(service, form, files))


async def _found(service: Service, form: SearchForm, files: list[tuple[str, bytes]]) -> Response:
    index = service.models.index(form.index)
    if form.model not in (None, index.model.name):
        message = f"the index {index.name} is searched by {index.model.name}; leave model out"
        raise RequestError(422, "wrong_model", message, param="model")
    sent = both(form.given_images, files)
    if len(sent) > 1:
        raise RequestError(422, "image_count", "photos are like one image; send no more than one", param="image")
    if form.text is None and not sent:
        raise RequestError(422, "invalid_field", "give a text, an image or both")
    image = (await service.images(index.model, sent))[0] if sent else None
    options = SearchOptions(form.top, form.rerank)
    found = await service.retrieval.search(SearchWork(index, form.text, image, options, form.timeout))
    hits = [hit.to_json() for hit in found.hits]
    if form.thumbnails:
        pictures = await service.retrieval.thumbnails(found.hits, form.timeout)
        hits = [{**hit, "thumbnail": picture} for hit, picture in zip(hits, pictures, strict=True)]
    content = {"index": index.name, "model": index.model.name, "hits": hits, "missing": len(found.missing)}
    return JSONResponse(content)
