"""Bodies of requests, JSON or multipart, read whole and in memory, and no more of them than is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from blipvino.errors import OverloadError
from blipvino.serve.disconnects import ClientGoneError
from blipvino.serve.held_bytes import current_bytes
from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import RequestLimits
from blipvino.serve.service import Service
from blipvino.serve.stage_times import current_times

JSON, MULTIPART = "application/json", "multipart/form-data"
_MOST_FIELDS = 256
"""Of a multipart body, beside its files."""
_PARSED_BYTES = 2**16
"""Of a multipart body, until other requests have their turn."""
_MOST_ELEMENTS = 100_000
"""Of JSON: a body of millions of tiny ones takes seconds to read, and many times its size in memory."""
_DRAINED_BYTES = 64 * 2**20
_DRAINED_SECONDS = 5.0
_LENGTH_DIGITS = 18
"""Of a length that is read as a number; whatever has more is too large."""


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


async def read_body(request: Request, service: Service) -> Body:
    """A request's body.

    Raises:
        RequestError: it is of another type, too large or too slow, has too many elements, or is no multipart body
            although it says so.
        OverloadError: no text more is let in, or all requests together hold too much.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    media = kind.decode("latin-1").lower()
    if media not in (JSON, MULTIPART):
        raise RequestError(
            415, "unsupported_media_type", f"Content-Type is {media or 'not given'!r}, expected {JSON} or {MULTIPART}"
        )
    content = await read_bytes(request, service)
    if media == JSON:
        return Body(checked_json(content))
    return await _parts(content, options.get(b"boundary", b""), service.settings.limits)


def checked_json(content: bytes) -> bytes:
    """JSON that has no more elements than any request needs. It is counted before it is read.

    Raises:
        RequestError: it has more.
    """
    if content.count(b",") > _MOST_ELEMENTS:
        raise RequestError(413, "too_large", f"the JSON has more than {_MOST_ELEMENTS:,} commas, which none needs")
    return content


async def read_bytes(request: Request, service: Service) -> bytes:
    """A request's body as it came.

    Raises:
        RequestError: it is compressed, too large or too slow.
        OverloadError: no text more is let in, or all requests together hold too much.
    """
    limits = service.settings.limits
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise RequestError(415, "unsupported_encoding", f"Content-Encoding is {encoding[:40]!r}, expected none")
    with current_times().stage("read"):
        is_sent = request.headers.get("expect", "").lower() != "100-continue"
        try:
            _check_head(request, service)
            is_sent = True  # it is asked for, if it was not
            async with asyncio.timeout(limits.read_seconds):
                return await _content(request, limits.body_bytes)
        except TimeoutError:
            message = f"the body took longer than {limits.read_seconds:g} s to arrive"
            raise RequestError(408, "too_slow", message) from None
        except ClientDisconnect:
            raise ClientGoneError from None
        except (RequestError, OverloadError):
            if is_sent:
                await _drain(request)
            raise


def _check_head(request: Request, service: Service) -> None:
    """Refuse what is known to be too much before its body is read: that which always is first."""
    announced, most = request.headers.get("content-length", ""), service.settings.limits.body_bytes
    if announced.isdecimal() and (len(announced) > _LENGTH_DIGITS or int(announced) > most):
        raise _too_large(most)
    service.admission.check_open()
    if announced.isdecimal():
        current_bytes().check(int(announced))


async def _content(request: Request, most: int) -> bytes:
    held, content = current_bytes(), bytearray()
    async for chunk in request.stream():
        held.take(len(chunk))
        content += chunk
        if len(content) > most:
            raise _too_large(most)
    return bytes(content)


def _too_large(most: int) -> RequestError:
    return RequestError(413, "too_large", f"the body has more than the {most:,} bytes allowed")


async def _drain(request: Request) -> None:
    """Read on a little: a client that still sends reads no answer, and would see but a closed connection."""
    seen = 0
    with suppress(TimeoutError):
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
        for begin in range(0, len(content), _PARSED_BYTES):
            yield content[begin : begin + _PARSED_BYTES]
            await asyncio.sleep(0)

    # Where each of millions begins like a part and is none, parsing takes many seconds. They are counted before.
    if content.count(b"\r\n--" + boundary) > limits.images + _MOST_FIELDS + 1:
        raise RequestError(400, "invalid_multipart", "the body is no multipart form: it has too many parts")
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
