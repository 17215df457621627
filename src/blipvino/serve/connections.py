"""Connections: no more than there are files for, and each with the head of a request in time."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from blipvino.serve.problems import Problem

if sys.platform != "win32":
    import resource

HEAD_SECONDS = 30.0
"""From when a connection is made, or a further request begins, until the head of the request is there."""
_FILES = 2**16
"""That a server wants to have open at a time: a connection is one."""
_OTHER_FILES = 512
"""Of them, for all that is no connection, and for connections that are refused."""


def allow_many_connections() -> None:
    """Have this process open as many files as it wants, where the system allows it more than a shell usually does."""
    if sys.platform == "win32":  # nothing bounds them there
        return
    most, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if allowed == resource.RLIM_INFINITY else min(_FILES, allowed)
    if most != resource.RLIM_INFINITY and most < wanted:
        with suppress(OSError, ValueError):  # it goes on with what it has
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed))


def most_connections() -> int:
    """Connections that this process has files for at a time, beside all else."""
    if sys.platform == "win32":
        return _FILES
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _FILES if most == resource.RLIM_INFINITY else max(most // 2, most - _OTHER_FILES)


class TimelyConnection(H11Protocol):
    """A connection that is closed where no head of a request comes in time, be it sent byte by byte.

    Uvicorn bounds the time between requests alone: without this, a client that sends nothing, or begins and does not
    end, would keep its connection for ever. What would be one connection too many is refused at once: a process that
    can open no more files cannot even do that.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client has connected."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.write(_refusal())
            transport.close()
        self._time_head()

    def data_received(self, data: bytes) -> None:
        """Something came: of a head, or of a body, which is timed where it is read."""
        super().data_received(data)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._stop_timer()
        super().connection_lost(exc)

    def _time_head(self) -> None:
        """Have the timer run, from its first byte on, as long as a head is waited for."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self.conn.their_state is not h11.IDLE or is_answering or self.transport.is_closing():
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _refusal() -> bytes:
    """A whole response, to whatever is asked."""
    problem = Problem(503, "too_many_connections", "this server has as many connections as it can; try again later")
    content = json.dumps(problem.to_json()).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\n"
    )
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content
