"""Servers in processes of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

STARTING_SECONDS = 300


@contextmanager
def started(arguments: Sequence[str | Path], log: Path) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    """A server, ready: its process, and its URL. It is killed when the block ends.

    Args:
        arguments: of the interpreter, without the port.
        log: file of what it prints.

    Raises:
        RuntimeError: it ends, or is not ready in time.
    """
    port = _free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        command = [sys.executable, *map(str, arguments), "--port", str(port)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _await_ready(process, url, log)
            yield process, url
        finally:
            process.kill()
            process.wait()


def ours(bundle: Path, cache: Path, *options: str) -> list[str | Path]:
    """The arguments of ``blipvino serve``."""
    return ["-m", "blipvino", "serve", f"blip={bundle}", "--cache", cache, *options]


def plain(model: str, place: Path, cache: Path) -> list[str | Path]:
    """The arguments of `benchmarks.serving.plain_servers`."""
    return ["-m", "benchmarks.serving.plain_servers", model, place, "--cache", cache]


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.2)
    raise RuntimeError(f"the server is not ready; see {log}")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
