"""Connections whose clients must send the head of a request in time."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30.0
"""From when a connection is made, or a further request begins, until the head of the request is there."""


class TimelyConnection(H11Protocol):
    """A connection that is closed where no head of a request comes in time, be it sent byte by byte.

    Uvicorn bounds the time between requests alone: without this, a client that sends nothing, or begins and does not
    end, would keep its connection for ever.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client has connected."""
        super().connection_made(transport)
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
