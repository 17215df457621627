"""Images from URLs, for servers that allow it: no client gets at what this machine can reach and the world cannot.

Each host is resolved once, every address that it has must be a public one, and the connection goes to that very
address: a name that is another address a moment later gains nothing. Redirects are followed by the same rules.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from blipvino.serve.problems import RequestError

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_CHUNK = 2**16
_INSIDE_CLOUDS = frozenset({ipaddress.IPv4Address("168.63.129.16")})
"""Addresses that look public, and answer machines of a cloud alone (Azure's WireServer)."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class FetchRules:
    """What may be fetched.

    Attributes:
        most_bytes: of all files of a request.
        seconds: that they may take, redirects and all.
        ports: by scheme; a scheme that is not there is refused.
        is_allowed: whether an address may be connected to.
    """

    most_bytes: int
    seconds: float
    ports: dict[str, frozenset[int]]
    is_allowed: Callable[[Address], bool]

    @classmethod
    def public(cls, most_bytes: int, seconds: float) -> FetchRules:
        """The usual ports of hosts that all the world can reach."""
        ports = {scheme: frozenset({port}) for scheme, port in _PORTS.items()}
        return cls(most_bytes, seconds, ports, is_public)


def is_public(address: Address) -> bool:
    """Whether all the world can reach an address; one that is inside another is what counts."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None or address.is_site_local:
            return False
        if inner is not None:
            return is_public(inner)
    inside = address in _INSIDE_CLOUDS or address.is_multicast or address.is_reserved
    return address.is_global and not inside


@dataclass
class Allowance:
    """What is left of what one request may have fetched, by one at a time.

    Attributes:
        bytes: of all its files.
        deadline: `time.monotonic`.
    """

    bytes: int
    deadline: float

    def seconds(self) -> float:
        """Time that is left.

        Raises:
            ValueError: none is.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _RefusedError("it takes too long")
        return left

    def spend(self, count: int) -> None:
        """So many bytes came.

        Raises:
            ValueError: they are too many, or too late.
        """
        self.seconds()
        self.bytes -= count
        if self.bytes < 0:
            raise _RefusedError("the files of this request have more bytes than are allowed")


class Fetcher:
    """Fetches files, a few at a time.

    Args:
        rules: of what may be fetched.
    """

    def __init__(self, rules: FetchRules) -> None:
        self._rules = rules
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="blipvino-fetch")

    def allowance(self) -> Allowance:
        """What one request may have fetched."""
        return Allowance(self._rules.most_bytes, time.monotonic() + self._rules.seconds)

    async def fetch(self, name: str, url: str, allowance: Allowance) -> bytes:
        """The file at a URL.

        Args:
            name: of the field that it was in, for messages.
            url: with its scheme.
            allowance: of the request; what this takes is taken from it.

        Raises:
            RequestError: it may not be fetched, cannot be, or is too large or too slow.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._fetch, url, allowance)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # No word on what was found there: it may be no business of the client's.
            raise RequestError(
                422, "fetch_failed", f"{name}: cannot be fetched ({_reason(error)})", param=name
            ) from None

    def close(self) -> None:
        """Fetch no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, url: str, allowance: Allowance) -> bytes:
        for _ in range(_MOST_REDIRECTS + 1):
            place = urlsplit(url)
            connection = self._connection(place, allowance)
            # Each byte in time is not all of them in time.
            watchdog = threading.Timer(allowance.seconds(), _cut, [connection.sock])
            watchdog.daemon = True
            watchdog.start()
            try:
                target = place._replace(scheme="", netloc="", fragment="").geturl() or "/"
                connection.request("GET", target, headers={"Accept": "image/*", "User-Agent": "blipvino"})
                response = connection.getresponse()
                if response.status not in _REDIRECTS:
                    return self._content(response, allowance)
                url = urljoin(url, response.headers.get("Location", ""))
            finally:
                watchdog.cancel()
                connection.close()
        raise _RefusedError(f"it redirects more than {_MOST_REDIRECTS} times")

    def _content(self, response: http.client.HTTPResponse, allowance: Allowance) -> bytes:
        if response.status != http.HTTPStatus.OK:
            raise _RefusedError("its server does not answer with an image")
        content = bytearray()
        while True:
            chunk = response.read1(_CHUNK)
            content += chunk
            allowance.spend(len(chunk))
            if not chunk:
                return bytes(content)

    def _connection(self, place: SplitResult, allowance: Allowance) -> http.client.HTTPConnection:
        ports = self._rules.ports.get(place.scheme)
        if ports is None:
            raise _RefusedError("a URL must begin with http:// or https://")
        host, port = place.hostname, place.port or _PORTS[place.scheme]
        if not host or place.username is not None or place.password is not None:
            raise _RefusedError("a URL must have a host, and no user")
        if port not in ports:
            raise _RefusedError(f"its port is {port}, which is not the usual one")
        address = self._address(host, port)
        connection = http.client.HTTPConnection(host, port)
        sock = socket.create_connection((str(address), port), timeout=allowance.seconds())
        if place.scheme == "https":
            try:
                sock.settimeout(allowance.seconds())
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
            except BaseException:
                sock.close()
                raise
        connection.sock = sock
        return connection

    def _address(self, host: str, port: int) -> Address:
        """The address to connect to. A host is refused as a whole where one of its addresses is."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise _RefusedError("its host is no name") from None
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        if not addresses or not all(self._rules.is_allowed(address) for address in addresses):
            raise _RefusedError("its host is not of the public internet")
        return addresses[0]


class _RefusedError(ValueError):
    """By the rules; the message may be told."""


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):  # it has been closed meanwhile
        sock.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, _RefusedError):
        return str(error)
    return "it takes too long" if isinstance(error, TimeoutError) else "there is no answer"
