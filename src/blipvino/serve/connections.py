"""Connections: no more than there are files for, and each with the head of a request in time."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from blipvino.serve.problems import Problem

if sys.platform != "win32":
    import resource

HEAD_SECONDS = 30.0
"""From when a connection is made, or a further request begins, until the head of the request is there; and for the rest
of a body that was answered before it had come.
"""
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


class StrictExchange(h11.Connection):
    """Requests and responses of a connection, where it is never in doubt at which byte a request ends."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """What has come next.

        Raises:
            h11.RemoteProtocolError: it is no HTTP, or a request of two lengths. h11 takes that of the chunks: past a
                proxy that takes the other, whoever sends it could slip a second request.
        """
        event = super().next_event()
        if isinstance(event, h11.Request) and {b"content-length", b"transfer-encoding"} <= dict(event.headers).keys():
            raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return event

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """The bytes of what is sent. Who was not asked for a body is told to leave: it may send it yet, or not."""
        if isinstance(event, h11.Response) and self.they_are_waiting_for_100_continue:
            headers = [*event.headers, (b"connection", b"close")]
            event = h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
        return super().send_with_data_passthrough(event)


class TimelyConnection(H11Protocol):
    """A connection that is closed where no head of a request comes in time, be it sent byte by byte.

    Uvicorn bounds the time between requests alone: without this, a client that sends nothing, or begins and does not
    end, would keep its connection for ever, and so would the rest of a body that is not wanted any more. What would be
    one connection too many is refused at once: a process that can open no more files cannot even do that.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn = StrictExchange(h11.SERVER)

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
        """Have the timer run, from its first byte on, as long as a head or the rest of an answered body is awaited."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        is_waiting = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not is_answering
        if not is_waiting or self.transport.is_closing():
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
