"""Keys, hosts, other sites' pages, and the headers that browsers obey."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import httpx
import pytest

from blipvino.errors import InputError
from blipvino.serve.api_keys import KEYS_VARIABLE, key_digests
from blipvino.serve.app import create_app

KEY = "k" * 20


def ask(settings, method, path, **headers):
    """One request to an application whose models are not loaded."""

    async def asked():
        transport = httpx.ASGITransport(create_app(settings))
        given = {"host": "127.0.0.1:8000"} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.request(method, path, headers=given)

    return asyncio.run(asked())


@pytest.fixture
def guarded(settings):
    return replace(settings, keys=(hashlib.sha256(KEY.encode()).digest(),))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": f"Bearer {KEY}"}, 503),  # let in, and the models are not loaded
        ({"authorization": f"bearer  {KEY}"}, 503),
        ({"x_api_key": KEY}, 503),
        ({"authorization": f"Bearer {KEY[:-1]}"}, 401),
        ({"authorization": f"Bearer {KEY}k"}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Bearer ä".encode()}, 401),
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/caption", "/v1/chat/completions", "/v2/models/demo/infer", "/api/v1/vision/caption"]
)
def test_keys(guarded, path, headers, status):
    response = ask(guarded, "POST", path, **headers)
    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"


def test_probes_need_no_key(guarded):
    for path, status in (("/health/live", 200), ("/health/ready", 503), ("/v2/health/live", 200)):
        assert ask(guarded, "GET", path).status_code == status
    for path in ("/metrics", "/openapi.json", "/v1/models", "/v2/models/demo", "/v2"):
        assert ask(guarded, "GET", path).status_code == 401


def test_without_keys_everybody_may_ask(settings):
    assert ask(settings, "GET", "/metrics").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:9"}, 503),
        ({"host": "[::1]:9"}, 503),
        ({"host": "photos.example"}, 503),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 503),
        ({"origin": "https://photos.example"}, 503),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9000", "host": "photos.example"}, 503),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"host": "["}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
    ],
)
def test_hosts_and_origins(settings, headers, status):
    response = ask(replace(settings, hosts=("photos.example",)), "POST", "/v1/caption", **headers)
    assert response.status_code == status
    assert "access-control-allow-origin" not in response.headers


def test_a_server_for_others_is_called_as_they_like(settings):
    wide = replace(settings, host="0.0.0.0")
    assert ask(wide, "POST", "/v1/caption", host="any.example").status_code == 503
    assert ask(replace(wide, hosts=("a.example",)), "POST", "/v1/caption", host="any.example").status_code == 403
    assert ask(replace(wide, hosts=("a.example",)), "GET", "/health/live", host="10.0.0.7:8000").status_code == 200


def test_every_response_has_the_headers(settings):
    for method, path in (("GET", "/health/live"), ("GET", "/nothing"), ("POST", "/v1/caption")):
        headers = ask(settings, method, path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"]
        assert "server" not in headers


def test_keys_are_read(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(f"# mine\n{KEY}\n\n  {KEY}2  \n")
    monkeypatch.setenv(KEYS_VARIABLE, f"{KEY}3, {KEY}4")
    expected = [f"{KEY}3", f"{KEY}4", KEY, f"{KEY}2"]
    assert key_digests(file) == tuple(hashlib.sha256(key.encode()).digest() for key in expected)
    monkeypatch.delenv(KEYS_VARIABLE)
    assert key_digests(None) == ()


@pytest.mark.parametrize(("content", "message"), [("", "has no API key"), ("short", "16 or more"), ("ä" * 20, "ASCII")])
def test_keys_that_are_none(tmp_path, content, message):
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        key_digests(file)
    with pytest.raises(InputError, match="cannot be read"):
        key_digests(tmp_path)
