"""Running locust against a server, and what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.serving.workload import PATIENCE, Request

BEGINNING = 0.25
"""Of the time in which requests come: until then a server fills its batches, and hardly tells a text."""
ARRIVALS = Path(__file__).with_name("arrivals.py")


@dataclass(frozen=True)
class Heard:
    """An answer, or that there was none.

    Attributes:
        path: that was asked.
        due: when it was to be asked, in seconds since the run began.
        done: when the answer was there.
        status: of HTTP; 0 without an answer.
        wrong: whether it is another text than the lone one.
    """

    path: str
    due: float
    done: float
    status: int
    wrong: bool


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        url: where it is asked.
        pid: of its process, which may have started others.
    """

    url: str
    pid: int


@dataclass(frozen=True)
class Drive:
    """A run of requests.

    Attributes:
        heard: of all requests.
        seconds: for which requests came.
        server_cores: that the server kept busy while answers count.
        client_cores: that the client did.
    """

    heard: tuple[Heard, ...]
    seconds: float
    server_cores: float
    client_cores: float

    @property
    def answered(self) -> list[Heard]:
        """Those with a text."""
        return [one for one in self.heard if one.status == 200]

    @property
    def rate(self) -> float:
        """Texts a second while requests came, once batches were full: what comes before or after belongs to none."""
        begin = BEGINNING * self.seconds
        return sum(begin < one.done <= self.seconds for one in self.answered) / (self.seconds - begin)

    @property
    def refused(self) -> int:
        """Requests that were told to come again."""
        return sum(one.status == 429 for one in self.heard)

    @property
    def failed(self) -> int:
        """Requests with any other end."""
        return sum(one.status not in {200, 429} for one in self.heard)

    @property
    def wrong(self) -> int:
        """Texts that are not the lone ones."""
        return sum(one.wrong for one in self.heard)

    def latency(self, percentile: float, path: str | None = None) -> float:
        """Seconds from when a request was to be asked to its text; nan if there is none."""
        found = [one.done - one.due for one in self.answered if path in {None, one.path}]
        return float(np.percentile(found, percentile)) if found else float("nan")


def drive(
    server: Server, requests: list[Request], seconds: float, *, rate: float = 0.0, clients: int = 0, seed: int = 0
) -> Drive:
    """Have a server asked.

    Args:
        server: that is asked.
        requests: asked in turn.
        seconds: for which they come.
        rate: at which they come by chance, a second; or else
        clients: that ask again once they are answered.
        seed: of chance.
    """
    with TemporaryDirectory(prefix="blipvino-load-") as folder:
        plan, output = Path(folder, "plan.json"), Path(folder, "heard.json")
        listed = [request.to_json() for request in requests]
        told = {
            "url": server.url,
            "requests": listed,
            "seconds": seconds,
            "rate": rate,
            "clients": clients,
            "seed": seed,
        }
        watched = {"server": server.pid, "counted": (BEGINNING * seconds, seconds)}
        plan.write_text(json.dumps({**told, **watched, "patience": PATIENCE, "output": str(output)}))
        command = [sys.executable, "-m", "locust", "--headless", "--locustfile", str(ARRIVALS), "--users", "1"]
        environment = {**os.environ, "BLIPVINO_PLAN": str(plan)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not output.exists():
            raise RuntimeError(f"locust heard nothing:\n{done.stderr[-2000:]}")
        found = json.loads(output.read_text())
        found["heard"] = tuple(Heard(**one) for one in found["heard"])
        return Drive(seconds=seconds, **found)
