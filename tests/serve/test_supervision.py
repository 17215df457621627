"""What workers tell the process that started them, and each other."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from running_server import PATIENCE, await_ready, awaited

from blipvino.errors import BlipvinoError
from blipvino.serve import server as serving
from blipvino.serve import supervision
from blipvino.serve.serve_settings import Place
from blipvino.serve.server import DrainingServer, bound_socket, serve
from blipvino.serve.supervision import Flag, Heartbeat, Stethoscope, Supervision

CONTEXT = multiprocessing.get_context("spawn")


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(supervision, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def look(heart, clock, seconds, times=1):
    for _ in range(times):
        clock[0] += seconds
        silence = heart.silence()
    return silence


def test_silence_counts_from_the_last_beat(clock):
    heartbeat = Heartbeat(CONTEXT)
    heart = Stethoscope(heartbeat)
    assert look(heart, clock, 0.5, 500) == 0  # it does not serve yet, and may take its time
    heartbeat.beat()
    assert look(heart, clock, 0.5) == 0
    assert look(heart, clock, 0.5, 40) == 20
    heartbeat.beat()
    assert look(heart, clock, 0.5) == 0


def test_who_was_stopped_with_the_worker_does_not_blame_it(clock):
    heartbeat = Heartbeat(CONTEXT)
    heart = Stethoscope(heartbeat)
    heartbeat.beat()
    look(heart, clock, 0.5)
    assert look(heart, clock, 3600.0) == 1


@contextmanager
def worker(settings):
    """A server that serves here as one of several: it, its address, and what it is told and tells."""
    told = Supervision(CONTEXT, Flag(CONTEXT))
    told.group_ready.set()
    with bound_socket("127.0.0.1", 0) as listening:
        server, address = DrainingServer(settings, supervision=told), listening.getsockname()
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            await_ready(f"http://{address[0]}:{address[1]}")
            yield server, address, told
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def test_the_heart_beats_whatever_the_clock_says_and_while_the_server_drains(settings, monkeypatch):
    monkeypatch.setattr("uvicorn.server.time", SimpleNamespace(time=lambda: 0.0))
    with worker(replace(settings, indexes=())) as (server, address, told):
        counted = told.heartbeat.count
        awaited(lambda: told.heartbeat.count >= counted + 2)
        with socket.create_connection(address) as slow:
            slow.sendall(b"POST /v1/caption HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            slow.sendall(b"Content-Length: 9\r\n\r\n")
            httpx.get(f"http://{address[0]}:{address[1]}/health/live")
            server.should_exit = True
            awaited(lambda: server._service.is_draining)
            counted = told.heartbeat.count
            awaited(lambda: told.heartbeat.count >= counted + 2)


def test_what_comes_is_a_sign_of_life(settings, monkeypatch):
    monkeypatch.setattr(serving, "BEAT_SECONDS", 2.0 * PATIENCE)
    with worker(replace(settings, indexes=())) as (_, address, told):
        counted = told.heartbeat.count
        httpx.get(f"http://{address[0]}:{address[1]}/health/live")
        assert told.heartbeat.count > counted


def test_who_cannot_load_first_leaves_to_others_what_comes(settings):
    """The socket is one that another process listens at, too."""
    with bound_socket("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        listening.settimeout(5)
        broken = replace(settings, models=(Place("demo", Path("nowhere")),), indexes=())
        with pytest.raises(BlipvinoError, match="nowhere"):
            serve(broken, [listening.dup()], load_first=True)
        accepted, _ = listening.accept()
        accepted.close()
