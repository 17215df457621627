"""Bodies of all requests together are bounded, and are let go when their images are decoded."""

from __future__ import annotations

import socket
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from running_server import awaited, base64_of, unseen_file

from blipvino.errors import OverloadError
from blipvino.serve.held_bytes import ByteBudget, current_bytes

MIB = 2**20


def test_no_more_is_held_than_is_allowed():
    budget = ByteBudget(10)
    with budget.of_request() as one:
        one.take(6)
        with budget.of_request() as other:
            assert current_bytes() is other
            with pytest.raises(OverloadError, match=r"have 6 bytes already, and 5 more would be over the 10"):
                other.take(5)
            other.take(4)
            one.release(6)
            other.take(6)
        assert budget.held == 0
        one.take(10)
        one.release(99)
        assert budget.held == 0
    assert current_bytes() is not one


def test_where_there_is_no_request_nothing_is_refused():
    current_bytes().take(10**15)


def test_a_server_that_holds_too_much_refuses_more(server, client, files):
    budget, body = server.service.bytes, {"image": base64_of(files[0])}
    budget.held += budget._most
    try:
        for sent in ({"json": body}, {"files": {"image": files[0]}}, {"content": iter([b"{", b"}"])}):
            headers = {"Content-Type": "application/json"} if "content" in sent else {}
            response = client.post("/v1/caption", **sent, headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (429, "overloaded")
            assert int(response.headers["retry-after"]) >= 1
        assert client.post("/v2/models/demo/infer", content=b"{}").status_code == 429
        assert client.get("/v1/served").status_code == 200
    finally:
        budget.held -= budget._most
    assert client.post("/v1/caption", json=body).status_code == 200
    awaited(lambda: budget.held == 0)


def connected(server):
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, place.port), timeout=60)


def test_slow_uploads_hold_what_has_come_of_them(server):
    budget = server.service.bytes
    head = b"POST /v1/caption HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: 9999999\r\n\r\n"
    sockets = [connected(server) for _ in range(4)]
    for each in sockets:
        each.sendall(head + b" " * 1000)
    awaited(lambda: budget.held == 4000)
    for each in sockets:
        each.close()
    awaited(lambda: budget.held == 0)


def test_an_upload_is_refused_as_soon_as_it_is_too_much(server, client):
    budget = server.service.bytes
    budget.held += budget._most - MIB
    try:
        chunks = (b" " * 2**16 for _ in range(64))
        response = client.post("/v1/caption", content=chunks, headers={"Content-Type": "application/json"})
        assert response.status_code == 429
    finally:
        budget.held -= budget._most - MIB
    awaited(lambda: budget.held == 0)


@pytest.mark.parametrize("form", ["json", "files", "chat", "tensor", "photoprism", "stream"])
def test_what_was_decoded_is_held_no_longer(server, client, form):
    """While a text is waited for, the file that it is about is nowhere in memory."""
    file = unseen_file() + b"\0" * 8 * MIB  # PNG readers stop at its end
    image, url = base64_of(file), f"data:image/png;base64,{base64_of(file)}"
    part = {"type": "image_url", "image_url": {"url": url}}
    chat = [{"role": "user", "content": [part]}]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [image]}
    sent = {
        "json": ("/v1/caption", {"json": {"image": image, "seed": 1}}),
        "files": ("/v1/caption", {"files": {"image": file}, "data": {"seed": 2}}),
        "chat": (
            "/v1/chat/completions",
            {"json": {"model": "demo", "messages": chat}},
        ),
        "tensor": ("/v2/models/demo/infer", {"json": {"inputs": [tensor], "parameters": {"seed": 4}}}),
        "photoprism": ("/api/v1/vision/caption", {"json": {"images": [url]}}),
        "stream": ("/v1/caption", {"json": {"image": image, "seed": 6, "stream": True}}),
    }
    path, body = sent[form]
    request = client.build_request("POST", path, **body)
    request.read()
    blip, budget = server.service.models.models["demo"].blip, server.service.bytes
    scheduler = blip.components.scheduler
    tracemalloc.start()
    try:
        with ThreadPoolExecutor(1) as pool, blip.extractor._vision_lock:
            asked = pool.submit(client.send, request)
            awaited(lambda: scheduler.load.waiting > 0)
            awaited(lambda: budget.held < 1000)  # its other fields
            awaited(lambda: tracemalloc.get_traced_memory()[0] < 4 * MIB)
        assert asked.result().status_code == 200
    finally:
        tracemalloc.stop()


def test_who_goes_away_holds_nothing(server, files):
    budget = server.service.bytes
    with closing(connected(server)) as opened:
        opened.sendall(b"POST /v1/caption HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        opened.sendall(b"Transfer-Encoding: chunked\r\n\r\n5\r\n     \r\n")
        awaited(lambda: budget.held == 5)
    awaited(lambda: budget.held == 0)
    assert httpx.get(f"{server.url}/health/live").status_code == 200
