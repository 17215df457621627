"""What a server under load does when something goes wrong: no text is wrong, and nothing that was accepted is lost.

python -m benchmarks.serving.faults BUNDLE
python -m benchmarks.serving.faults BUNDLE --only sigterm "disk is full"

Eight clients ask for captions and answers, each request on a connection of its own, while

- *worker killed*: one of two workers is killed with -9: only what it had in hand is lost, and another takes its place;
- *sigterm*: the server is told to end: all that it accepted is answered, and its status is 0;
- *disk is full*: no byte can be written to any file, of the cache of graphs among others;
- *clock jumps*: by a day, ahead and back, as `faketime` (a Debian package) does it;
- *bundle replaced*: another bundle takes the place of the one that is served.

The exit status is 1 where anything is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.serving.contenders import ours, started
from benchmarks.serving.workload import PATIENCE, Request, ask_alone, captions, further_answers, text_of
from blipvino.machine.host import this_host

CLIENTS = 8
LOAD_SECONDS = 10.0
EXACT = ("--precision", "f32")
"""In which texts do not depend on what is decoded beside them."""
NO_WRITES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass
class Load:
    """Clients that ask until they are told to stop.

    Attributes:
        statuses: of the answers.
        lost: errors of requests that had been sent.
        refused: requests whose connection was not accepted.
        wrong: texts that are not the lone ones.
    """

    url: str
    requests: Sequence[Request]
    statuses: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin."""
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._asking = [self._pool.submit(self._ask_on, client) for client in range(CLIENTS)]

    def stop(self) -> None:
        """Wait for the last answers."""
        self._stopping.set()
        for asking in self._asking:
            asking.result()
        self._pool.shutdown()

    def _ask_on(self, number: int) -> None:
        while not self._stopping.is_set():
            request = self.requests[number % len(self.requests)]
            number += CLIENTS
            try:
                response = httpx.post(f"{self.url}{request.path}", json=request.body, timeout=PATIENCE)
            except httpx.ConnectError:
                self.refused += 1
                time.sleep(0.1)
                continue
            except httpx.TransportError as error:
                self.lost.append(repr(error))
                continue
            self.statuses[response.status_code] += 1
            if response.status_code == 200 and text_of(response.json()) != request.expected:
                self.wrong.append(f"{text_of(response.json())!r}, alone {request.expected!r}")


@dataclass(frozen=True)
class Place:
    """What a fault is tried on."""

    bundle: Path
    cache: Path
    requests: Sequence[Request]
    work: Path


def worker_killed(place: Place) -> tuple[Load, list[str]]:
    """One of two workers."""
    with _served(place, "--workers", "2") as (process, url):
        # With other numbers of threads sums round otherwise.
        load = Load(url, ask_alone(url, list(place.requests)).requests)
        time.sleep(LOAD_SECONDS)
        victim = _workers(process.pid)[0]
        os.kill(victim, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and (victim in (now := _workers(process.pid)) or len(now) < 2):
            time.sleep(0.1)
        time.sleep(LOAD_SECONDS)
        load.stop()
        problems = [] if len(_workers(process.pid)) == 2 else ["the worker was not replaced"]
        if len(load.lost) > CLIENTS:
            problems.append(f"{len(load.lost)} requests are lost, of {CLIENTS} that one worker may have had in hand")
    return load, problems


def sigterm(place: Place) -> tuple[Load, list[str]]:
    """The server is told to end."""
    with _served(place) as (process, url):
        load = Load(url, place.requests)
        time.sleep(LOAD_SECONDS)
        process.send_signal(signal.SIGTERM)
        status = process.wait(PATIENCE)
        load.stop()
    problems = [f"status {status}"] if status else []
    return load, problems + [f"lost: {error}" for error in load.lost]


def disk_is_full(place: Place) -> tuple[Load, list[str]]:
    """No byte can be written, from before the server begins."""
    arguments = ours(place.bundle, place.work / "full", *EXACT)
    command = ["-c", NO_WRITES, sys.executable, *map(str, arguments)]
    return _through(place, command, lambda _: time.sleep(LOAD_SECONDS))


def clock_jumps(place: Place) -> tuple[Load, list[str]]:
    """A day ahead, and a day back."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime*.so.1"))
    library = next((path for path in found if "MT" in path.name), None)
    assert library is not None
    times = place.work / "faketime"
    times.write_text("+0")
    fake = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(times), "FAKETIME_NO_CACHE": "1"}
    settings = [f"{name}={value}" for name, value in {**fake, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}.items()]
    arguments = ours(place.bundle, place.cache, *EXACT)
    launch = "import os, sys; os.execvp('env', ['env', *sys.argv[1:]])"
    command = ["-c", launch, *settings, sys.executable, *map(str, arguments)]

    def jump(_: Load) -> None:
        for shift in ("+1d", "-1d", "+0"):
            times.write_text(shift)
            time.sleep(LOAD_SECONDS / 3)

    return _through(place, command, jump)


def bundle_replaced(place: Place) -> tuple[Load, list[str]]:
    """Its files are taken away, and others put there."""
    served = place.work / "served"
    shutil.copytree(place.bundle, served)

    def replace(_: Load) -> None:
        time.sleep(LOAD_SECONDS / 2)
        served.rename(place.work / "old")
        shutil.copytree(place.bundle, served)
        for graph in served.glob("*.bin"):
            graph.write_bytes(b"\0" * graph.stat().st_size)
        shutil.rmtree(place.work / "old")
        time.sleep(LOAD_SECONDS / 2)

    return _through(place, list(map(str, ours(served, place.cache, *EXACT))), replace)


FAULTS: dict[str, Callable[[Place], tuple[Load, list[str]]]] = {
    "worker killed": worker_killed,
    "sigterm": sigterm,
    "disk is full": disk_is_full,
    "clock jumps": clock_jumps,
    "bundle replaced": bundle_replaced,
}


def _through(place: Place, command: Sequence[str], happen: Callable[[Load], None]) -> tuple[Load, list[str]]:
    """Something happens, and nobody notices."""
    with started(command, place.work / "server.log") as (process, url):
        load = Load(url, place.requests)
        happen(load)
        load.stop()
        problems = [f"lost: {error}" for error in load.lost]
        if process.poll() is not None:
            problems.append(f"the server ended with status {process.returncode}")
    return load, problems + [f"status {status}" for status in load.statuses if status != 200]


def _served(place: Place, *options: str) -> AbstractContextManager[tuple[subprocess.Popen[bytes], str]]:
    return started(ours(place.bundle, place.cache, *EXACT, *options), place.work / "server.log")


def _workers(pid: int) -> list[int]:
    """Processes that serve, of the one that started them."""
    listed = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True, check=False)
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [int(number) for number, command in lines if "resource_tracker" not in command and "defunct" not in command]


def main() -> None:
    """Try each, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--tokens", type=int, default=20, help="of a caption at the most; of an answer 3")
    parser.add_argument("--cache", type=Path, default=Path("out/cache"), help="folder for compiled graphs")
    options = parser.parse_args()
    print(this_host().cpu)
    bad = 0
    with TemporaryDirectory(prefix="blipvino-faults-") as folder:
        asked = [*captions(12, options.tokens), *further_answers(2, 3)]
        with started(ours(options.bundle, options.cache, *EXACT), Path(folder, "alone.log")) as (_, url):
            requests = ask_alone(url, asked).requests
        for name in options.only:
            if name == "clock jumps" and not list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
                print(f"{name}: not tried, since faketime is not installed")
                continue
            work = Path(folder, name.replace(" ", "-"))
            work.mkdir()
            load, problems = FAULTS[name](Place(options.bundle, options.cache, requests, work))
            problems = [*problems, *load.wrong]
            statuses = ", ".join(f"{count} × {status}" for status, count in sorted(load.statuses.items()))
            print(f"{name}: {statuses}; {len(load.lost)} lost, {load.refused} not accepted, {len(load.wrong)} wrong")
            for problem in problems[:10]:
                print(f"  WRONG: {problem}")
            bad += len(problems)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
