"""Whether the server lives, whether it can be asked, and what it has counted."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from blipvino.serve.service import service_of

router = APIRouter(tags=["health"])
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.head("/health/live", include_in_schema=False)  # as many that watch servers ask
@router.get("/health/live", summary="Whether the process lives")
async def live() -> JSONResponse:
    """200 as long as it does, whatever it is busy with."""
    return JSONResponse({"status": "live"})


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", summary="Whether the models are loaded", responses={503: {"description": "Not yet"}})
async def ready(request: Request) -> JSONResponse:
    """200 when requests are taken; 503 while models are loaded, and while the server ends."""
    service = service_of(request)
    if service.is_ready:
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": "draining" if service.is_draining else "loading"}, 503, {"Retry-After": "5"})


@router.get("/metrics", summary="For Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """What is counted and measured."""
    service = service_of(request)
    service.observe()
    return Response(service.metrics.page(), media_type=_PROMETHEUS)
