"""Every request gets an id, a line in the log, its stages' times in its response, and a place in the metrics."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blipvino.serve.disconnects import ClientGoneError
from blipvino.serve.problem_response import problem_response
from blipvino.serve.problems import problem_of
from blipvino.serve.service import Service
from blipvino.serve.stage_times import StageTimes, begin_times
from blipvino.text.printable import one_line

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GONE = 499
"""Status of a request whose client went away, as proxies log it; nobody receives it."""

logger = logging.getLogger("blipvino.serve.requests")


class RequestLog:
    """The outermost layer of the application.

    Args:
        app: what is inside.
        service: whose metrics are kept.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        times, begun, statuses = begin_times(), time.monotonic(), list[int]()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                message = {**message, "headers": [*message["headers"], *self._headers(request_id, times)]}
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientGoneError:
            statuses.append(_GONE)
        except Exception as error:
            logger.exception("request %s failed", request_id)
            if not statuses:
                await problem_response(problem_of(error), scope)(scope, receive, noted)
        self._note(scope, request_id, statuses[0] if statuses else _GONE, time.monotonic() - begun, times)

    def _headers(self, request_id: str, times: StageTimes) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", request_id.encode())]
        if times.header:
            headers.append((b"server-timing", times.header.encode()))
        if self._service.is_draining:
            headers.append((b"connection", b"close"))
        return headers

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float, times: StageTimes) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._service.metrics.observe_request(route, status, seconds, times)
        client = scope.get("client")
        extra = {
            "request_id": request_id,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "seconds": round(seconds, 4),
            "client": client[0] if client else None,
            "stages": {name: round(of_stage, 4) for name, of_stage in times.seconds.items()},
        }
        quiet = route.startswith(("/health", "/v2/health")) or route == "/metrics"
        message = "%(method)s %(path)s %(status)s %(seconds)s s, request %(request_id)s"
        logger.log(logging.DEBUG if quiet else logging.INFO, message, extra, extra={"fields": extra})


class JsonLines(logging.Formatter):
    """Log records as JSON objects, one a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content)


class PlainLines(logging.Formatter):
    """Log records for people, control characters escaped: a path that a client asked for forges no line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, or more where there is a traceback."""
        message = one_line(record.getMessage())
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = f"{moment} {record.levelname.lower()} {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logs(as_json: bool) -> None:
    """Log to standard error from now on: what the server does, and every request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("blipvino", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
