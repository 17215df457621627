"""Requests that come whether those before are answered or not: what a server makes of 0.5 to 3 times what it can.

python -m benchmarks.serving.load BUNDLE --checkpoint CHECKPOINT
python -m benchmarks.serving.load BUNDLE --seconds 20 --work captions

Each kind of work (captions of new images, further questions about known ones, both mixed) is asked of `blipvino serve`
one by one, which gives the lone texts and latencies; then by 32 clients at once, which gives its capacity; then by
chance (Poisson) at 0.5, 0.8, 1, 1.5 and 3 times that. locust asks. Every text is compared with the lone one. Before and
after, `Blip` does the same work in batches of 16, in a process of its own. Servers as they are written in an afternoon
follow (`benchmarks.serving.plain_servers`): one text at a time by the same bundle, and by `transformers` if there is a
checkpoint.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from pathlib import Path

from benchmarks.serving.contenders import ours, plain, started
from benchmarks.serving.driving import Drive, Server, drive
from benchmarks.serving.workload import Lone, Request, ask_alone, captions, further_answers
from blipvino.machine.host import this_host

TIMES = (0.5, 0.8, 1.0, 1.5, 3.0)
CLIENTS = 32
KNOWN_IMAGES = 2
"""That further answers are about."""
CACHE_MB = "32"
"""Of the server: images that are captioned are new to it, however far requests run ahead of it."""
MIXED_ANSWERS = 4
"""Further answers to a caption, of mixed work."""
LONE_PLAIN = 5
"""Requests that are asked of a plain server one by one."""


@dataclass(frozen=True)
class Options:
    """How long and what."""

    bundle: Path
    checkpoint: Path | None
    cache: Path
    seconds: float
    images: int
    work: Sequence[str]
    server: Sequence[str]
    output: Path


def works(options: Options, lone: dict[str, Lone]) -> dict[str, list[Request]]:
    """The requests of each kind of work."""
    found: dict[str, list[Request]] = {name: asked.requests for name, asked in lone.items()}
    if "mixed" in options.work:
        answers = cycle(found["answers"])
        found["mixed"] = list(chain.from_iterable([one, *islice(answers, MIXED_ANSWERS)] for one in found["captions"]))
    return {name: found[name] for name in options.work}


def measure_ours(options: Options, offline: dict[str, list[float]]) -> None:
    """Load `blipvino serve`, and print what it makes of it."""
    arguments = ours(options.bundle, options.cache, "--image-cache-mb", CACHE_MB, *options.server)
    with started(arguments, options.output / "ours.log") as (process, url):
        lone, server = ask_all_alone(url, options), Server(url, process.pid)
        for name, requests in works(options, lone).items():
            drive(server, requests, 3, clients=CLIENTS)
            full = drive(server, requests, options.seconds, clients=CLIENTS)
            best = f", {full.rate / max(offline[name]):.2f} of batches of 16" if name in offline else ""
            print_drive(f"ours, {name}, {CLIENTS} clients{best}", full)
            for seed, times in enumerate(TIMES):
                found = drive(server, requests, options.seconds, rate=times * full.rate, seed=seed)
                print_drive(f"ours, {name}, {times} × {full.rate:.2f} a second", found)


def ask_all_alone(url: str, options: Options) -> dict[str, Lone]:
    """The lone texts and latencies of captions and answers."""
    lone: dict[str, Lone] = {}
    if {"captions", "mixed"} & set(options.work):
        lone["captions"] = ask_alone(url, captions(options.images, 20))
    if {"answers", "mixed"} & set(options.work):
        asked = further_answers(KNOWN_IMAGES, 3)
        ask_alone(url, asked)  # which has the images looked at
        lone["answers"] = ask_alone(url, asked)
    for name, found in lone.items():
        print(f"ours, {name}, alone: {1000 * statistics.median(found.seconds):.0f} ms", flush=True)
    return lone


def measure_plain(model: str, place: Path, options: Options) -> None:
    """Load a plain server: one by one, with all that it can do, and at 0.8 of that."""
    kinds = {"captions": captions(options.images, 20), "answers": further_answers(KNOWN_IMAGES, 3)}
    with started(plain(model, place, options.cache), options.output / f"{model}.log") as (process, url):
        server = Server(url, process.pid)
        for name, requests in kinds.items():
            if name not in options.work:
                continue
            ask_alone(url, requests[:2])
            lone = ask_alone(url, requests[:LONE_PLAIN])
            print(f"{model}, {name}, alone: {1000 * statistics.median(lone.seconds):.0f} ms", flush=True)
            full = drive(server, requests, options.seconds, clients=CLIENTS)
            print_drive(f"{model}, {name}, {CLIENTS} clients", full)
            print_drive(
                f"{model}, {name}, 0.8 × {full.rate:.2f} a second",
                drive(server, requests, options.seconds, rate=0.8 * full.rate),
            )


def print_drive(name: str, found: Drive) -> None:
    """A line."""
    paths = sorted({one.path for one in found.heard})
    latencies = "; ".join(
        f"{path.rpartition('/')[2]} p50/p95/p99 "
        + "/".join(f"{1000 * found.latency(percentile, path):,.0f}" for percentile in (50, 95, 99))
        for path in paths
    )
    counts = f"{len(found.heard)} asked, {found.refused} refused, {found.failed} failed, {found.wrong} other texts"
    cores = (
        f"cores: server {found.server_cores:.2f}, client {found.client_cores:.2f}, "
        f"{found.rate / found.server_cores:.2f} a second and core of the server's"
    )
    print(f"{name}: {found.rate:.2f} a second; {latencies} ms; {counts}; {cores}", flush=True)


def offline_rates(options: Options) -> dict[str, float]:
    """Texts a second of `Blip` in batches of 16, by `benchmarks.concurrency`."""
    command = [sys.executable, "-m", "benchmarks.concurrency", str(options.bundle), "--cache", str(options.cache)]
    limits = ["--texts", "64", "--images", str(KNOWN_IMAGES), "--rounds", "2", "--ways", "batches of 16"]
    printed = subprocess.run([*command, *limits], check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = {}
    for line in printed.splitlines():
        work, _, rest = line.partition(", batches of 16: ")
        if rest:
            found[work.removeprefix("further ")] = float(rest.split()[0])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="for the server of transformers")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each load")
    parser.add_argument("--images", type=int, default=96, help="that are captioned; more than the server remembers")
    parser.add_argument(
        "--work", nargs="+", choices=("captions", "answers", "mixed"), default=["captions", "answers", "mixed"]
    )
    parser.add_argument("--server", nargs="*", default=[], help="more options of blipvino serve, without their dashes")
    parser.add_argument("--skip-plain", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path("out/cache"), help="folder for compiled graphs")
    parser.add_argument("--output", type=Path, default=Path("out/load"), help="folder for the servers' logs")
    given = parser.parse_args()
    server = [f"--{option}" if not option[0].isdigit() else option for option in given.server]
    options = Options(
        given.bundle, given.checkpoint, given.cache, given.seconds, given.images, given.work, server, given.output
    )
    print(this_host().label)
    offline: dict[str, list[float]] = {}
    before = offline_rates(options)
    for name, rate in before.items():
        offline[name] = [rate]
        print(f"Blip, {name}, batches of 16: {rate:.2f} a second", flush=True)
    measure_ours(options, offline)
    for name, rate in offline_rates(options).items():
        print(f"Blip, {name}, batches of 16, again: {rate:.2f} a second", flush=True)
    if not given.skip_plain:
        measure_plain("locked", options.bundle, options)
        if options.checkpoint is not None:
            measure_plain("transformers", options.checkpoint, options)


if __name__ == "__main__":
    main()
