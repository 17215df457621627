"""Bodies of requests, JSON or multipart, read whole and in memory, and no more of them than is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import RequestLimits
from blipvino.serve.stage_times import current_times

JSON, MULTIPART = "application/json", "multipart/form-data"
_MOST_FIELDS = 256
"""Of a multipart body, beside its files."""
_DRAINED_BYTES = 64 * 2**20
_DRAINED_SECONDS = 5.0


@dataclass(frozen=True)
class Body:
    """What a request brought.

    Attributes:
        json: its JSON, unread; None of a multipart body.
        fields: of a multipart body, each with its values.
        files: likewise; each with the name of its field.
    """

    json: bytes | None = None
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[tuple[str, bytes]] = field(default_factory=list)


async def read_body(request: Request, limits: RequestLimits) -> Body:
    """A request's body.

    Raises:
        RequestError: it is of another type, too large or too slow, or no multipart body although it says so.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    media = kind.decode("latin-1").lower()
    if media not in (JSON, MULTIPART):
        raise RequestError(
            415, "unsupported_media_type", f"Content-Type is {media or 'not given'!r}, expected {JSON} or {MULTIPART}"
        )
    content = await read_bytes(request, limits)
    if media == JSON:
        return Body(content)
    return await _parts(content, options.get(b"boundary", b""), limits)


async def read_bytes(request: Request, limits: RequestLimits) -> bytes:
    """A request's body as it came.

    Raises:
        RequestError: it is compressed, too large or too slow.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise RequestError(415, "unsupported_encoding", f"Content-Encoding is {encoding[:40]!r}, expected none")
    content = bytearray()
    with current_times().stage("read"):
        try:
            async with asyncio.timeout(limits.read_seconds):
                async for chunk in request.stream():
                    content += chunk
                    if len(content) > limits.body_bytes:
                        await _drain(request)
                        raise RequestError(
                            413, "too_large", f"the body has more than the {limits.body_bytes:,} bytes allowed"
                        )
        except TimeoutError:
            raise RequestError(
                408, "too_slow", f"the body took longer than {limits.read_seconds:g} s to arrive"
            ) from None
    return bytes(content)


async def _drain(request: Request) -> None:
    """Read on a little: a client that still sends reads no answer, and would see but a closed connection."""
    seen = 0
    async with asyncio.timeout(_DRAINED_SECONDS):
        while seen < _DRAINED_BYTES:
            message = await request.receive()
            seen += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                return


class _InMemory(MultiPartParser):
    """Files of a body that is in memory already need no place on the disk."""

    spool_max_size = 2**62


async def _parts(content: bytes, boundary: bytes, limits: RequestLimits) -> Body:
    async def stream() -> AsyncGenerator[bytes]:
        yield content

    headers = Headers({"content-type": f'{MULTIPART}; boundary="{boundary.decode("latin-1")}"'})
    parser = _InMemory(
        headers, stream(), max_files=limits.images, max_fields=_MOST_FIELDS, max_part_size=limits.body_bytes
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestError(400, "invalid_multipart", f"the body is no multipart form: {error.message}") from None
    body = Body()
    async with asyncio.timeout(limits.read_seconds):
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                body.files.append((name, await value.read()))
            else:
                body.fields.setdefault(name, []).append(value)
    await form.close()
    return body
