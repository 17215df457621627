"""A server in a thread of this process, or in a process of its own."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from PIL import Image

from blipvino.serve.server import DrainingServer, bound_socket

PATIENCE = 120


@dataclass(frozen=True)
class Running:
    """A server that runs here.

    Attributes:
        url: of it.
        service: what it answers with.
    """

    url: str
    service: Any


@contextmanager
def running(settings):
    """Serve from a thread until the block ends."""
    listening = bound_socket(settings.host, 0)
    server = DrainingServer(settings)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        await_ready(url)
        yield Running(url, server._service)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def await_ready(url, status=200):
    """Wait until the probe of readiness has this status."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health/ready").status_code == status:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise TimeoutError(url)


@contextmanager
def command(*arguments, **environment):
    """``blipvino serve`` in a process of its own: the process, and its URL. It is killed when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "blipvino", "serve", *map(str, arguments), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    lines: list[str] = []
    try:
        url = None
        while url is None:
            line = process.stderr.readline()
            assert line, "".join(lines)
            lines.append(line)
            found = re.search(r"at (http://\S+)/", line)
            url = found[1] if found else None
        reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
        reader.start()
        yield process, url, lines
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


def base64_of(content):
    """Bytes as JSON has them."""
    return base64.b64encode(content).decode()


def unseen_file():
    """An image that no model has seen, as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng().integers(0, 256, (48, 48, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def awaited(condition):
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
