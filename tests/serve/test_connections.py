"""Connections whose clients send nothing, begin and do not end, or are too many."""

from __future__ import annotations

import re
import resource
import socket
import time
from contextlib import suppress

import httpx
import pytest

from blipvino.serve.connections import allow_many_connections, most_connections

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED = b'{"bogus": 1}'
"""A body that is refused once it is read."""
JSON_HEAD = b"POST /v1/caption HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class EndError(Exception):
    """Of a block from whose time nothing is learned."""


def connection_to(server):
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


@pytest.fixture
def connected(server, monkeypatch):
    """A connection to a server that waits half a second for a head."""
    monkeypatch.setattr("blipvino.serve.connections.HEAD_SECONDS", 0.5)
    with connection_to(server) as opened:
        yield opened


def answer(connection):
    """The status of a response, which is read to its end."""
    received = connection.recv(65536)
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head.split()[1]


def test_who_sends_nothing_is_let_go(connected):
    assert connected.recv(1) == b""


@pytest.mark.parametrize("before", [False, True])
def test_who_sends_a_head_byte_by_byte_is_let_go(connected, before):
    """At once, or after a request that was answered."""
    if before:
        connected.sendall(LIVE)
        assert answer(connected) == b"200"
    connected.settimeout(0.05)
    sent = 0
    with suppress(ConnectionError):
        while sent < 1000:  # a head that never ends
            connected.sendall(LIVE[sent : sent + 1] or b"x")
            sent += 1
            with suppress(TimeoutError):
                if connected.recv(1) == b"":
                    break
    assert 0 < sent < 1000


def test_requests_that_come_in_time_are_answered(connected):
    """However many come, and however long the connection has been there by then."""
    for _ in range(4):
        time.sleep(0.2)
        connected.sendall(LIVE[:20])
        time.sleep(0.05)
        connected.sendall(LIVE[20:])
        assert answer(connected) == b"200"


def test_a_body_has_its_own_time(connected):
    connected.sendall(JSON_HEAD + b"Content-Length: %d\r\n\r\n" % len(REFUSED) + REFUSED[:3])
    time.sleep(1)
    connected.sendall(REFUSED[3:])
    assert answer(connected) == b"422"


def test_the_rest_of_a_body_that_was_answered_has_no_more_time_than_a_head(connected, monkeypatch):
    monkeypatch.setattr("blipvino.serve.request_body._DRAINED_SECONDS", 0.1)
    connected.sendall(JSON_HEAD + b"Content-Length: 99999999\r\n\r\n{")
    assert answer(connected) == b"413"
    connected.sendall(b"{")  # a sign of life, which ends the time between requests
    connected.settimeout(20)
    assert connected.recv(1) == b""


def all_of(connection):
    """Whatever the server sends until it closes the connection."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


@pytest.mark.parametrize(
    "lengths", [b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"transfer-encoding: chunked\r\nCONTENT-LENGTH: 0"]
)
def test_a_request_of_two_lengths_is_refused_and_nothing_after_it_is_read(server, lengths):
    with connection_to(server) as opened:
        opened.sendall(b"POST /v1/caption HTTP/1.1\r\nHost: localhost\r\n" + lengths + b"\r\n\r\n0\r\n\r\n" + LIVE)
        assert all_of(opened).split(b" ", 2)[1] == b"400"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (JSON_HEAD, b"429"),
        (JSON_HEAD.replace(b"caption", b"nothing"), b"404"),
        (JSON_HEAD.replace(b"json", b"xml"), b"415"),
        (JSON_HEAD + b"Content-Length: 99999999\r\n", b"413"),
    ],
)
def test_who_waits_to_be_asked_for_a_body_that_is_refused_is_not_asked(server, head, status):
    """And is let go: what came next might be that body, or another request."""
    length = b"" if b"Length" in head else b"Content-Length: 1000\r\n"
    with suppress(EndError), server.service.admission.of("all", 256), connection_to(server) as opened:
        opened.sendall(head + length + b"Expect: 100-continue\r\n\r\n")
        answered = all_of(opened)
        raise EndError
    assert answered.split(b" ", 2)[1] == status
    assert answered.lower().count(b"connection: close") == 1


def test_who_waits_is_asked_for_a_body_that_is_read(server):
    with connection_to(server) as opened:
        opened.sendall(JSON_HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(REFUSED))
        assert answer(opened) == b"100"
        opened.sendall(REFUSED)
        assert answer(opened) == b"422"
        opened.sendall(LIVE)
        assert answer(opened) == b"200"


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_connection_is_of_use_after_a_body_that_was_refused(server, is_chunked):
    body = b"x" * 2**21
    sent = b"Content-Length: %d\r\n\r\n" % len(body) + body
    if is_chunked:
        sent = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    with suppress(EndError), server.service.admission.of("all", 256), connection_to(server) as opened:
        for request, status in ((JSON_HEAD + sent, b"429"), (LIVE, b"200"), (JSON_HEAD + sent + LIVE, b"429")):
            opened.sendall(request)
            assert answer(opened) == status
        raise EndError


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_asked_by_head_too(client, path):
    response = client.head(path)
    assert (response.status_code, response.content) == (200, b"")


def test_one_connection_too_many_is_refused(server, monkeypatch):
    """And only that: those that were there before are answered, and so is who comes when they have gone."""
    with connection_to(server) as first, connection_to(server) as second:
        for opened in (first, second):
            opened.sendall(LIVE)
            assert answer(opened) == b"200"
        monkeypatch.setattr("blipvino.serve.connections.most_connections", lambda: 2)
        refused = httpx.get(f"{server.url}/health/live")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["error"]["code"] == "too_many_connections"
        first.sendall(LIVE)
        assert answer(first) == b"200"
    deadline = time.monotonic() + 60
    while httpx.get(f"{server.url}/health/live").status_code != 200:
        assert time.monotonic() < deadline


def test_there_are_files_for_all_connections():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (700, before[1]))
        assert most_connections() == 350
        allow_many_connections()
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert most == min(before[1], 2**16)
        assert 0 < most_connections() < most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
