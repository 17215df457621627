"""What locust runs: requests that arrive by chance at a rate, whether those before are answered or not.

locust --headless --locustfile benchmarks/serving/arrivals.py --users 1

`benchmarks.serving.load` starts it, with a plan in the file that ``$BLIPVINO_PLAN`` names. With ``clients`` in the plan
there are so many instead, each of which asks again once it is answered. Client and server share a machine: what each
takes of it is measured while answers count.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from locust import FastHttpUser, constant, task

from benchmarks.serving.cpu_time import cpu_seconds

PLAN = json.loads(Path(os.environ["BLIPVINO_PLAN"]).read_text())


class Arrivals(FastHttpUser):
    """One user of locust, from whom all requests come."""

    host = PLAN["url"]
    wait_time = constant(0)
    concurrency = 4096
    network_timeout = connection_timeout = PLAN["patience"]
    max_retries = 0

    @task
    def arrive(self) -> None:
        """The whole run."""
        self._heard: list[dict[str, Any]] = []
        self._begun = time.monotonic()
        watching = gevent.spawn(self._cores)
        asking = self._by_clients() if PLAN["clients"] else self._by_chance()
        gevent.joinall([watching, *asking])
        server, client = watching.get()
        found = {"heard": self._heard, "server_cores": server, "client_cores": client}
        Path(PLAN["output"]).write_text(json.dumps(found))
        self.environment.runner.quit()

    def _cores(self) -> tuple[float, float]:
        """How many cores the server and this client kept busy while answers count."""
        begin, end = PLAN["counted"]
        self._sleep_until(begin)
        before = (cpu_seconds(PLAN["server"]), time.process_time())
        self._sleep_until(end)
        after = (cpu_seconds(PLAN["server"]), time.process_time())
        server, client = ((late - early) / (end - begin) for early, late in zip(before, after, strict=True))
        return server, client

    def _sleep_until(self, moment: float) -> None:
        gevent.sleep(max(0.0, self._begun + moment - time.monotonic()))

    def _by_chance(self) -> list[gevent.Greenlet]:
        gaps = np.random.default_rng(PLAN["seed"]).exponential(
            1 / PLAN["rate"], int(3 * PLAN["rate"] * PLAN["seconds"]) + 9
        )
        due, asking = 0.0, []
        for number, gap in enumerate(gaps):
            due += gap
            if due > PLAN["seconds"]:
                break
            self._sleep_until(due)
            asking.append(gevent.spawn(self._ask, number, due))
        return asking

    def _by_clients(self) -> list[gevent.Greenlet]:
        return [gevent.spawn(self._ask_on, client) for client in range(PLAN["clients"])]

    def _ask_on(self, client: int) -> None:
        number = client
        while (now := time.monotonic() - self._begun) < PLAN["seconds"]:
            self._ask(number, now)
            number += PLAN["clients"]

    def _ask(self, number: int, due: float) -> None:
        request = PLAN["requests"][number % len(PLAN["requests"])]
        # Of beams alone, so that it changes nothing; no two requests are the same, which would be computed once.
        body = {**request["body"], "length_penalty": 1 + number * 1e-9}
        with self.client.post(request["path"], json=body, catch_response=True) as response:
            done = time.monotonic() - self._begun
            text = response.json()["results"][0]["text"] if response.status_code == 200 else None
            wrong = text is not None and request["expected"] not in {None, text}
            if response.status_code in {200, 429}:
                response.success()
        self._heard.append(
            {"path": request["path"], "due": due, "done": done, "status": response.status_code or 0, "wrong": wrong}
        )
