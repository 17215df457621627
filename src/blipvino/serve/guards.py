"""What stands before every request: headers that browsers obey, the host's name, other sites' pages, API keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blipvino.serve.problem_response import problem_response
from blipvino.serve.problems import Problem

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_GUARDED = ("/v1", "/v2", "/api", "/metrics", "/openapi.json")
_PROBES = ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready")


class SecurityHeaders:
    """Adds headers to every response that has not its own of that name.

    Args:
        app: what is inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                has = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in _HEADERS.items() if name not in has]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class HostGuard:
    """Refuses requests that another site's page makes a browser send, be it by a name of its own for this address.

    Args:
        app: what is inside.
        hosts: names that this server is called by; none allows any.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(problem, scope)(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = _decoded(scope["headers"])
        host = headers.get("host", "").lower()
        if self._hosts and scope["path"] not in _PROBES and _hostname(host) not in self._hosts:
            return Problem(403, "unknown_host", "this server is not called by this name; --allowed-host adds one")
        try:
            origin = urlsplit(headers["origin"]).netloc.lower() if "origin" in headers else host
        except ValueError:  # it is no URL
            return Problem(403, "foreign_origin", "pages of other sites may not ask this server")
        if origin != host and _hostname(origin) not in self._hosts:
            return Problem(403, "foreign_origin", "pages of other sites may not ask this server")
        if headers.get("sec-fetch-site") == "cross-site" and scope["method"] != "GET":
            return Problem(403, "foreign_origin", "pages of other sites may not ask this server")
        return None


class KeyGuard:
    """Lets in who brings an API key. The page itself and the probes of health are open to all.

    Args:
        app: what is inside.
        keys: SHA-256 digests of the keys; none lets everybody in.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[bytes]) -> None:
        self._app = app
        self._keys = tuple(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not self._keys or not _is_guarded(scope["path"]) or self._is_known(scope):
            await self._app(scope, receive, send)
            return
        problem = Problem(
            401,
            "invalid_api_key",
            "no valid API key came with this request; send it as Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await problem_response(problem, scope)(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        headers = _decoded(scope["headers"])
        scheme, _, given = headers.get("authorization", "").partition(" ")
        key = given.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        digest = hashlib.sha256(key.encode("latin-1")).digest()
        # All are compared, whichever it is: the time that it takes tells nothing.
        return sum(hmac.compare_digest(digest, known) for known in self._keys) > 0


def _is_guarded(path: str) -> bool:
    if path in _PROBES:
        return False
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in _GUARDED)


def _hostname(host: str) -> str:
    """The name in a Host header, without its port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
