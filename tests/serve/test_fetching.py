"""URLs are fetched from the public internet alone, whatever names, redirects and tricks lead elsewhere."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from blipvino.serve.fetching import Fetcher, FetchRules, is_public
from blipvino.serve.problems import RequestError


class Site(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        name = self.path.partition("?")[0]
        if name.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", name.removeprefix("/to/"))
            self.end_headers()
        elif name == "/missing":
            self.send_error(404)
        elif name == "/wait":
            time.sleep(0.2)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x")
        elif name == "/drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        elif name == "/drip-head":
            for _ in range(100):
                self.wfile.write(b"H")
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a" * int(name.removeprefix("/bytes/")))


@contextmanager
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def port():
    with site() as number:
        yield number


def fetch(url, port, allowed="127.0.0.1", seconds=5.0):
    rules = FetchRules(1000, seconds, {"http": frozenset({port})}, lambda address: str(address) == allowed)
    return asyncio.run(fetched(Fetcher(rules), url))


async def fetched(fetcher, *urls):
    """The last of the files of one request."""
    allowance, content = fetcher.allowance(), b""
    for url in urls:
        content = await fetcher.fetch("image", url, allowance)
    return content


def test_a_file_is_fetched(port):
    assert fetch(f"http://127.0.0.1:{port}/bytes/1000", port) == b"a" * 1000
    assert fetch(f"http://127.0.0.1:{port}/to//bytes/7", port) == b"a" * 7


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:{}/bytes/1001", "more bytes than are allowed"),
        ("http://127.0.0.1:{}/missing", "does not answer with an image"),
        ("http://127.0.0.1:{}/to/ftp://127.0.0.1/", "must begin with"),
        ("http://127.0.0.1:{}/to/http://127.0.0.2:{}/bytes/1", "not of the public internet"),
        ("http://127.0.0.1:{}/to/file:///etc/passwd", "must begin with"),
        ("http://127.0.0.1:{}/to//to//to//to//to/x", "redirects more than 3"),
        ("http://127.0.0.1:1/", "its port is 1"),
        ("http://user:word@127.0.0.1:{}/bytes/1", "no user"),
        ("http://127.0.0.2:{}/bytes/1", "not of the public internet"),
        ("http:///x", "must have a host"),
        ("http://[::1/", "cannot be fetched"),
        ("http://127.0.0.1:99999/", "cannot be fetched"),
        ("http://127.0.0.1:{}/a b\r\nX: y", "cannot be fetched"),
        ("http://xn--a.invalid:{}/", "cannot be fetched"),
    ],
)
def test_what_is_refused(port, url, message):
    with pytest.raises(RequestError, match=message):
        fetch(url.replace("{}", str(port)), port)


def test_all_files_of_a_request_have_one_allowance(port):
    rules = FetchRules(1000, 0.6, {"http": frozenset({port})}, lambda _: True)
    url = f"http://127.0.0.1:{port}/bytes/600"
    assert asyncio.run(fetched(Fetcher(rules), url)) == asyncio.run(fetched(Fetcher(rules), url))
    with pytest.raises(RequestError, match="more bytes than are allowed"):
        asyncio.run(fetched(Fetcher(rules), url, url))
    slow = f"http://127.0.0.1:{port}/wait"
    assert asyncio.run(fetched(Fetcher(rules), slow)) == b"x"
    with pytest.raises(RequestError, match="cannot be fetched"):
        asyncio.run(fetched(Fetcher(rules), *[slow] * 4))


@pytest.mark.parametrize("path", ["drip", "drip-head"])
def test_a_slow_one_is_given_up(port, path):
    with pytest.raises(RequestError, match="cannot be fetched"):
        fetch(f"http://127.0.0.1:{port}/{path}", port, seconds=0.3)


def test_a_name_is_resolved_once(port, monkeypatch):
    """A name that is a public address when it is looked at, and another one when it is connected to."""
    looked, original = [], socket.getaddrinfo

    def rebinding(host, *arguments, **options):
        if host != "rebinding.example":
            return original(host, *arguments, **options)
        looked.append(host)
        return original("127.0.0.1" if len(looked) == 1 else "127.0.0.2", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert fetch(f"http://rebinding.example:{port}/bytes/3", port) == b"aaa"
    assert looked == ["rebinding.example"]


def test_all_addresses_of_a_host_must_be_allowed(port, monkeypatch):
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("127.0.0.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(RequestError, match="not of the public internet"):
        fetch(f"http://two.example:{port}/bytes/3", port)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False), ("192.0.2.1", False), ("198.18.0.1", False), ("240.0.0.1", False), ("::1", False),
        ("::", False), ("fe80::1", False), ("fc00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False), ("64:ff9b::808:808", True), ("2002:7f00:1::", False), ("ff02::1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False), ("2001:db8::1", False),
    ],
)  # fmt: skip
def test_public_addresses(address, public):
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize("address", ["fec0::1", "168.63.129.16", "::ffff:168.63.129.16"])
def test_what_only_looks_public_is_not(address):
    assert not is_public(ipaddress.ip_address(address))
