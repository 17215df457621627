"""Minutes of mixed requests by chance, some of which are given up, malformed or read slowly.

python -m benchmarks.serving.soak BUNDLE --minutes 10 --rate 6

Of the requests 10% are given up after a moment, 5% are malformed in one of several ways, 5% are streams that are read a
byte at a time; the others are captions, answers and streams. Every text is compared with the one that the same request
gets alone, every malformed request must be refused by a 4xx, and the server's memory is looked at all the time: its
median in the last fifth must be within 5% of that in the second. Before, all is asked at once, so that batches have
been as large as they get: their memory is kept. The exit status is 1 where any of that fails.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving.contenders import ours, started
from benchmarks.serving.workload import PATIENCE, Lone, Request, ask_alone, captions, further_answers
from blipvino.machine.host import this_host

GIVEN_UP, MALFORMED, SLOW, STREAMED = 0.10, 0.05, 0.05, 0.2
"""Shares of requests."""
AT_ONCE = 64
SLOW_SECONDS = 0.02
"""Between two bytes."""
MOST_GROWTH = 0.05
SAMPLE_SECONDS = 2.0


@dataclass
class Soak:
    """What was seen.

    Attributes:
        counts: of requests by what they were and how they ended.
        wrong: what should not have been, in words.
        memory: resident bytes of the server, every so often.
        lone_seconds: that a request takes alone; who gives up does so within it.
    """

    lone_seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def fifths(self) -> list[float]:
        """The median memory in each fifth of the time."""
        count = max(5, len(self.memory))
        parts = (self.memory[count * part // 5 : count * (part + 1) // 5] for part in range(5))
        return [statistics.median(part) for part in parts if part]

    @property
    def growth(self) -> float:
        """Of the median memory, from the second fifth of the time to the last."""
        return self.fifths[-1] / self.fifths[min(1, len(self.fifths) - 1)] - 1


def malformed(request: Request, chance: random.Random) -> bytes:
    """The body of a request that must be refused."""
    body = dict(request.body)
    way = chance.randrange(5)
    if way == 0:
        return json.dumps(body).encode()[: chance.randrange(1, 200)]
    if way == 1:
        file = base64.b64decode(body["image"])
        body["image"] = base64.b64encode(file[: len(file) // 2]).decode()
    elif way == 2:
        body["image"] = base64.b64encode(chance.randbytes(2000)).decode()
    elif way == 3:
        body["max_new_tokens"] = -1
    else:
        body["no_such_field"] = 1
    return json.dumps(body).encode()


async def ask(client: httpx.AsyncClient, request: Request, chance: random.Random, soak: Soak) -> None:
    """One request, of a kind by chance."""
    drawn = chance.random()
    try:
        if drawn < GIVEN_UP:
            await _give_up(client, request, chance.random() * soak.lone_seconds, soak)
        elif drawn < GIVEN_UP + MALFORMED:
            await _ask_malformed(client, request, chance, soak)
        elif drawn < GIVEN_UP + MALFORMED + SLOW + STREAMED:
            await _ask_stream(client, request, soak, slowly=drawn < GIVEN_UP + MALFORMED + SLOW)
        else:
            response = await client.post(request.path, json=request.body)
            soak.counts[f"whole: {response.status_code}"] += 1
            if response.status_code == 200:
                _compare(response.json()["results"][0]["text"], request, soak)
            elif response.status_code != 429:
                soak.wrong.append(f"{response.status_code}: {response.text[:200]}")
    except httpx.HTTPError as error:
        soak.counts["lost"] += 1
        soak.wrong.append(f"lost: {error!r}")


async def _give_up(client: httpx.AsyncClient, request: Request, seconds: float, soak: Soak) -> None:
    try:
        async with asyncio.timeout(seconds):
            response = await client.post(request.path, json=request.body)
    except TimeoutError:
        soak.counts["given up"] += 1
        return
    soak.counts[f"not yet given up: {response.status_code}"] += 1


async def _ask_malformed(client: httpx.AsyncClient, request: Request, chance: random.Random, soak: Soak) -> None:
    body = malformed(request, chance)
    response = await client.post(request.path, content=body, headers={"Content-Type": "application/json"})
    soak.counts[f"malformed: {response.status_code}"] += 1
    if not 400 <= response.status_code < 500:
        soak.wrong.append(f"malformed, yet {response.status_code}: {response.text[:200]}")


async def _ask_stream(client: httpx.AsyncClient, request: Request, soak: Soak, *, slowly: bool) -> None:
    kind = "slow stream" if slowly else "stream"
    async with client.stream("POST", request.path, json={**request.body, "stream": True}) as response:
        told = b""
        async for some in response.aiter_raw(16 if slowly else None):
            told += some
            if slowly:
                await asyncio.sleep(SLOW_SECONDS)
        soak.counts[f"{kind}: {response.status_code}"] += 1
        if response.status_code == 200:
            _compare("".join(_pieces(told.decode())), request, soak)
        elif response.status_code != 429:
            soak.wrong.append(f"{kind}: {response.status_code}: {told[:200]!r}")


def _pieces(events: str) -> list[str]:
    """The pieces of text in server-sent events."""
    told: list[str] = []
    for event in events.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        if "data" in lines and lines.get("event", "message") == "message":
            data: dict[str, Any] = json.loads(lines["data"])
            told.append(str(data["text"]))
    return told


def _compare(text: str, request: Request, soak: Soak) -> None:
    if text != request.expected:
        soak.wrong.append(f"{request.path}: {text!r}, alone {request.expected!r}")


async def ask_at_once(url: str, requests: list[Request]) -> None:
    """Ask all, as many at a time as fill every batch."""
    room = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:

        async def asked(request: Request) -> None:
            async with room:
                (await client.post(request.path, json=request.body)).raise_for_status()

        await asyncio.gather(*map(asked, requests))


async def run(url: str, pid: int, lone: Lone, minutes: float, rate: float) -> Soak:
    """Ask by chance, at so many requests a second."""
    soak, chance = Soak(statistics.median(lone.seconds)), random.Random(0)
    asking: set[asyncio.Task[None]] = set()
    begun = sampled = time.monotonic()
    due = 0.0
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        while (due := due + chance.expovariate(rate)) < 60 * minutes:
            await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
            task = asyncio.ensure_future(ask(client, chance.choice(lone.requests), chance, soak))
            asking.add(task)
            task.add_done_callback(asking.discard)
            if time.monotonic() - sampled > SAMPLE_SECONDS:
                sampled = time.monotonic()
                soak.memory.append(resident_bytes(pid))
        await asyncio.gather(*asking)
    return soak


def resident_bytes(pid: int) -> int:
    """Of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, required=True, help="requests a second; 0.8 of what the server can")
    parser.add_argument("--images", type=int, default=40, help="that are captioned")
    parser.add_argument("--tokens", type=int, default=20, help="of a caption at the most; of an answer 3")
    parser.add_argument(
        "--precision", default="f32", help="in which texts do not depend on what is decoded beside them"
    )
    parser.add_argument("--cache", type=Path, default=Path("out/cache"), help="folder for compiled graphs")
    parser.add_argument("--output", type=Path, default=Path("out/soak"), help="folder for the server's log")
    options = parser.parse_args()
    print(this_host().cpu)
    cached = "64"  # megabytes: fewer than all images need, so that some are looked at again
    arguments = ours(options.bundle, options.cache, "--precision", options.precision, "--image-cache-mb", cached)
    with started(arguments, options.output / "server.log") as (process, url):
        asked = [*captions(options.images, options.tokens), *further_answers(2, 3)]
        lone = ask_alone(url, asked)
        asyncio.run(ask_at_once(url, asked))
        soak = asyncio.run(run(url, process.pid, lone, options.minutes, options.rate))
    for kind, count in sorted(soak.counts.items()):
        print(f"{kind}: {count}")
    low, high = min(soak.memory) / 1e6, max(soak.memory) / 1e6
    print(f"memory: {low:,.0f} to {high:,.0f} MB, {100 * soak.growth:+.1f}% from the second fifth to the last")
    print("median of each fifth: " + ", ".join(f"{found / 1e6:,.0f}" for found in soak.fifths) + " MB")
    for problem in soak.wrong[:20]:
        print(f"WRONG: {problem}")
    print(f"{len(soak.wrong)} of {soak.counts.total()} requests ended as they should not")
    sys.exit(1 if soak.wrong or soak.growth > MOST_GROWTH else 0)


if __name__ == "__main__":
    main()
