"""``GET /v1/served``: the models and indexes there are, as who chooses among them wants to know."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from blipvino.serve.native_documents import ERROR_SCHEMA, error_responses
from blipvino.serve.served_models import ServedIndex, ServedModel
from blipvino.serve.service import service_of
from blipvino.serve.shown_names import shown_checkpoint

router = APIRouter(prefix="/v1", tags=["blipvino"])
_UNCOMPRESSED = "fp16"


@router.get("/served", summary="What is served", responses=error_responses(ERROR_SCHEMA))
def list_served(request: Request) -> JSONResponse:
    """All models with their tasks, recipes and sizes, and all indexes with the number of their photos."""
    models = service_of(request).models
    models.check_ready()
    listed = [_model_json(served) for served in models.models.values()]
    indexes = [_index_json(served) for served in models.indexes.values()]
    return JSONResponse({"models": listed, "indexes": indexes})


def _model_json(served: ServedModel) -> dict[str, Any]:
    bundle = served.loaded.bundle
    manifest = bundle.manifest
    return {
        "name": served.name,
        "tasks": list(served.tasks),
        "checkpoint": shown_checkpoint(manifest.source.name),
        "recipe": bundle.label,
        "compressed": any(each.method != _UNCOMPRESSED for each in manifest.recipe.treatments.values()),
        "bytes": sum(entry.size for entry in manifest.files.values()),
    }


def _index_json(served: ServedIndex) -> dict[str, Any]:
    return {"name": served.name, "model": served.model.name, "photos": served.index.counts().photos}
