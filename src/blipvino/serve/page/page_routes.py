"""The page's routes: its files, which load nothing from elsewhere, and its sample pictures."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from blipvino.serve.page.sample_pictures import SAMPLES, sample_picture
from blipvino.serve.page.served_list import router

FILES = Path(__file__).parent / "files"
_CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",  # asked for again each time, and sent again when it has changed
}
_SAMPLE_HEADERS = {**_HEADERS, "Cache-Control": "max-age=86400"}


def add_page(app: FastAPI) -> None:
    """Have an application show the page at ``/``, with its files and samples under ``/page``.

    The page asks ``/v1/…`` of the same application: ``/v1/served``, which comes with it, tells it what there is. Its
    responses have a content policy of their own.
    """
    app.include_router(router)
    app.add_api_route("/", page, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/page/samples/{number:int}.png", sample, include_in_schema=False)
    app.mount("/page", _PageFiles(directory=FILES), name="page")


def page() -> FileResponse:
    """The page itself."""
    return FileResponse(FILES / "index.html", headers=_HEADERS)


def sample(number: int) -> Response:
    """A sample picture, drawn now.

    Raises:
        HTTPException: there is none of this number.
    """
    if not 0 <= number < SAMPLES:
        raise HTTPException(404, f"no sample {number} here; there are {SAMPLES}, from 0")
    return Response(sample_picture(number), media_type="image/png", headers=_SAMPLE_HEADERS)


class _PageFiles(StaticFiles):
    """Files with the page's headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response
