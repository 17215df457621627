"""``/v1``: embeddings, matches and searches."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from blipvino.retrieval.photo_search import SearchOptions
from blipvino.serve.disconnects import unless_gone
from blipvino.serve.native import asked
from blipvino.serve.native_documents import documented
from blipvino.serve.problems import RequestError
from blipvino.serve.request_forms import EmbedForm, MatchForm, SearchForm, one_or_more
from blipvino.serve.retrieval_service import SearchWork
from blipvino.serve.service import Service
from blipvino.serve.shown_names import shown_hit

router = APIRouter(prefix="/v1", tags=["blipvino"])


@router.post("/embed", **documented(EmbedForm, "Embed images and texts"))
async def embed(request: Request) -> Response:
    """The embedding of each image and of each text, of length 1: their inner products tell what goes together."""
    service, form = await asked(request, EmbedForm)
    model, sent = service.models.model(form.model, "embed"), form.take_images()
    has_texts = form.text is not None or form.texts is not None
    texts = one_or_more(form.text, form.texts, "text", "texts") if has_texts else []
    if not sent and not texts:
        raise RequestError(422, "invalid_field", "give images, texts or both")

    async def embedded() -> Response:
        images = await service.retrieval.seen(model, "embed", sent, texts)
        made = await service.retrieval.embed(model, images, texts, form.urgency)
        content = {"images": made.images.tolist(), "texts": made.texts.tolist()}
        return JSONResponse({"model": model.name, **content})

    return await unless_gone(request, embedded())


@router.post("/match", **documented(MatchForm, "Match images with texts"))
async def match(request: Request) -> Response:
    """How probable it is that each text fits each image: a row an image, a column a text."""
    service, form = await asked(request, MatchForm)
    model, sent = service.models.model(form.model, "match"), form.take_images()
    texts = one_or_more(form.text, form.texts, "text", "texts")
    service.intake.check(sent)

    async def matched() -> Response:
        images = await service.retrieval.seen(model, "match", sent, texts)
        made = await service.retrieval.match(model, images, texts, form.urgency)
        return JSONResponse({"model": model.name, "probabilities": made.tolist()})

    return await unless_gone(request, matched())


@router.post("/search", **documented(SearchForm, "Find photos in an index"))
async def search(request: Request) -> Response:
    """The photos that a text fits best, or that are most like an image, best first."""
    service, form = await asked(request, SearchForm)
    return await unless_gone(request, _found(service, form))


async def _found(service: Service, form: SearchForm) -> Response:
    index = service.models.index(form.index)
    if form.model not in (None, index.model.name):
        message = f"the index {index.name} is searched by {index.model.name}; leave model out"
        raise RequestError(422, "wrong_model", message, param="model")
    sent = form.take_images()
    if len(sent) > 1:
        raise RequestError(422, "image_count", "photos are like one image; send no more than one", param="image")
    if form.text is None and not sent:
        raise RequestError(422, "invalid_field", "give a text, an image or both")
    texts = [] if form.text is None else [form.text]
    images = await service.retrieval.seen(index.model, "search", sent, texts)
    options = SearchOptions(form.top, form.rerank)
    work = SearchWork(index, form.text, images[0] if images else None, options, form.urgency)
    found, folders = await service.retrieval.search(work)
    hits = [shown_hit(hit, folders).to_json() for hit in found.hits]
    if form.thumbnails:
        pictures = await service.retrieval.thumbnails(work, found.hits)
        hits = [{**hit, "thumbnail": picture} for hit, picture in zip(hits, pictures, strict=True)]
    content = {"index": index.name, "model": index.model.name, "hits": hits, "missing": len(found.missing)}
    return JSONResponse(content)
