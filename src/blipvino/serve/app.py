"""The application: its routes, what stands before them, and what runs beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from blipvino import __version__
from blipvino.errors import BlipvinoError
from blipvino.serve import health, inference_protocol, native, native_retrieval, openai_protocol, photoprism
from blipvino.serve.disconnects import ClientGoneError
from blipvino.serve.guards import HostGuard, KeyGuard, SecurityHeaders
from blipvino.serve.held_bytes import ByteGuard
from blipvino.serve.page import add_page
from blipvino.serve.problem_response import problem_response
from blipvino.serve.problems import Problem, RequestError, problem_of
from blipvino.serve.request_log import RequestLog
from blipvino.serve.serve_settings import LOOPBACK, ServeSettings
from blipvino.serve.service import Service, service_of
from blipvino.serve.supervision import Supervision

_OBSERVED_SECONDS = 1.0
_DESCRIPTION = "Captions of images, answers to questions about them, and searches, on an ordinary CPU."

logger = logging.getLogger(__name__)


def create_app(
    settings: ServeSettings,
    failed: Callable[[Exception], None] | None = None,
    *,
    load_first: bool = False,
    supervision: Supervision | None = None,
) -> FastAPI:
    """The application. Its models are loaded when it starts, while it answers already.

    Args:
        settings: what is served.
        failed: called when they cannot be loaded, with what is wrong.
        load_first: whether it starts when they are loaded.
        supervision: of a worker among others.
    """
    service = Service(settings, supervision)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        beside = [asyncio.ensure_future(_load(service, failed)), asyncio.ensure_future(_observe(service))]
        if load_first:
            await beside[0]
        yield
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="blipvino",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    for module in (health, native, native_retrieval, openai_protocol, photoprism, inference_protocol):
        app.include_router(module.router)
    add_page(app)
    for kind in (RequestError, BlipvinoError, TimeoutError, HTTPException, ClientGoneError):
        app.add_exception_handler(kind, _refuse)
    # The last that is added is the outermost.
    app.add_middleware(ByteGuard, budget=service.bytes)
    app.add_middleware(KeyGuard, keys=settings.keys)
    app.add_middleware(HostGuard, hosts=_hosts(settings))
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog, service=service)
    return app


def _hosts(settings: ServeSettings) -> tuple[str, ...]:
    """Names that the server is called by; none where any will do."""
    if "*" in settings.hosts:
        return ()
    return (*LOOPBACK, *settings.hosts) if settings.is_loopback else settings.hosts


def _http_problem(request: Request, error: HTTPException) -> Problem:
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    headers, message = dict(error.headers or {}), str(error.detail)
    if error.status_code == 405 and "Allow" in headers:
        message = f"{request.method} is not taken here, only {headers['Allow']}"
    return Problem(error.status_code, code, message, headers=headers)


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientGoneError):
        raise error  # nobody is there; the log notes it
    if isinstance(error, HTTPException):
        problem = _http_problem(request, error)
    else:
        problem = problem_of(error, service_of(request).admission.retry_after)
    if problem.status in (500, 503) and not isinstance(error, RequestError):  # what the client is not told
        logger.error("request %s failed: %s", request.state.request_id, error)
    return problem_response(problem, request.scope)


async def _load(service: Service, failed: Callable[[Exception], None] | None) -> None:
    try:
        await asyncio.to_thread(service.models.load)
    except Exception as error:
        if failed is None:
            raise
        failed(error)
    else:
        if service.supervision is not None:
            service.supervision.loaded.set()
        logger.info("ready: %s", ", ".join([*service.models.models, *service.models.indexes]))


async def _observe(service: Service) -> None:
    """Keep what is measured up to date where another process tells it."""
    with suppress(asyncio.CancelledError):
        while True:
            try:
                service.observe()
            except Exception:  # whatever it is, the next look may succeed
                logger.exception("what is measured could not be told")
            await asyncio.sleep(_OBSERVED_SECONDS)
