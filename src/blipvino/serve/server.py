"""A process that serves: until it is told to end, and then until it has answered what it accepted."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from prometheus_client import disable_created_metrics

from blipvino.errors import InputError
from blipvino.serve.app import create_app
from blipvino.serve.connections import TimelyConnection, allow_many_connections
from blipvino.serve.request_log import set_up_logs
from blipvino.serve.serve_settings import ServeSettings
from blipvino.serve.supervision import BEAT_SECONDS, Heartbeat, Supervision

_LINGER_SECONDS = 0.5
"""After the end of listening: what clients sent before they knew of it arrives by then."""
_KEEP_ALIVE_SECONDS = 30
_BACKLOG = 1024
_ACCEPTED_AT_ONCE = 64
"""Connections. Where no more files can be opened, asyncio tries as often each time, and logs each."""


class DrainingServer(uvicorn.Server):
    """Ends without losing a request: it listens no more, waits for what is under way, and then lets connections go.

    Args:
        settings: what is served.
        load_first: whether it listens when its models are loaded; else it does so meanwhile, and says so.
        supervision: of a worker among others.
    """

    def __init__(
        self, settings: ServeSettings, *, load_first: bool = False, supervision: Supervision | None = None
    ) -> None:
        self.load_error: Exception | None = None
        self._listening: list[socket.socket] = []
        self._heartbeat = None if supervision is None else supervision.heartbeat
        app = create_app(settings, self._load_failed, load_first=load_first, supervision=supervision)
        self._service = app.state.service
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                http=TimelyConnection if self._heartbeat is None else _beating(self._heartbeat),
                backlog=_ACCEPTED_AT_ONCE,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
            )
        )

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end, and give signs of life from the first moment to the last.

        Uvicorn's own callback goes by the clock on the wall, which may be set back, and ends when draining begins.
        """
        beating = asyncio.create_task(self._beat())
        try:
            await super().serve(sockets)
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while self._heartbeat is not None:
            self._heartbeat.beat()
            await asyncio.sleep(BEAT_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. As many connections as before may wait to be accepted, however many are at once."""
        self._listening = sockets = list(sockets or [])
        await super().startup(sockets)
        for listening in sockets:
            listening.listen(_BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted, then end."""
        self._service.is_draining = True
        for _ in range(_BACKLOG // _ACCEPTED_AT_ONCE + 1):
            await asyncio.sleep(0)  # connections that wait already are accepted before listening ends
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        if not self.force_exit:
            await asyncio.sleep(_LINGER_SECONDS)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal that was obeyed is not raised again: whoever was told to end has not failed."""
        with super().capture_signals():
            more = hangups() if threading.current_thread() is threading.main_thread() else ()
            before = {number: signal.signal(number, self.handle_exit) for number in more}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
                self._captured_signals.clear()

    def _load_failed(self, error: Exception) -> None:
        self.load_error = error
        self.should_exit = True
        if not self.started:
            self._listening.clear()  # others answer what comes


def _beating(heartbeat: Heartbeat) -> type[TimelyConnection]:
    """Connections whose data are signs of life: of many that send much, one turn of the event loop may take long."""

    class BeatingConnection(TimelyConnection):
        def data_received(self, data: bytes) -> None:
            heartbeat.beat()
            super().data_received(data)

    return BeatingConnection


def hangups() -> tuple[signal.Signals, ...]:
    """Signals of a terminal that is closed, which end a server as SIGTERM does; none where `nohup` ignores them."""
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
    return () if hangup is None or signal.getsignal(hangup) is not signal.SIG_DFL else (hangup,)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        InputError: it is no address of this machine, or is in use.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted connections inherit it. Without, a response's body waits 40 ms for the client's word on its head.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listening.bind((host, port))
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen at {address_text(host, port)} ({reason}); choose --host and --port") from error
    return listening


def address_text(host: str, port: int) -> str:
    """An address as a URL has it."""
    try:
        return f"[{host}]:{port}" if ipaddress.ip_address(host).version == 6 else f"{host}:{port}"
    except ValueError:  # a name
        return f"{host}:{port}"


def serve(
    settings: ServeSettings,
    sockets: Sequence[socket.socket],
    *,
    load_first: bool = False,
    supervision: Supervision | None = None,
) -> None:
    """Serve in this process until it is told to end.

    Args:
        settings: what is served.
        sockets: that listen.
        load_first: as of `DrainingServer`.
        supervision: likewise.

    Raises:
        BlipvinoError: the models cannot be loaded.
    """
    set_up_logs(settings.json_logs)
    allow_many_connections()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a time beside every number
    server = DrainingServer(settings, load_first=load_first, supervision=supervision)
    server.run(list(sockets))
    if server.load_error is not None:
        raise server.load_error
