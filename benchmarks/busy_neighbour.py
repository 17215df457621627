"""What pinning threads to cores, and how many there are, cost or gain: alone, and beside a process that is busy.

python -m benchmarks.busy_neighbour BUNDLE

The time of a caption of a new image, median of rounds in which all settings take turns; with the machine to itself, and
while another process keeps one core busy. `EngineOptions` has both settings, and ``blipvino serve`` their options.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from blipvino import Blip, EngineOptions
from blipvino.machine.cores import usable_cores
from blipvino.machine.host import this_host
from blipvino.measure.race.race_inputs import picture
from blipvino.text.units import counted

TOKENS = 20


def settings(cores: int) -> dict[str, EngineOptions]:
    """What is compared, by name: every core and all but one, pinned and not."""
    found = {}
    for threads in sorted({cores, max(1, cores - 1)}, reverse=True):
        for pinning in (True, False):
            name = f"{counted(threads, 'thread')}, {'pinned' if pinning else 'free'}"
            found[name] = EngineOptions(threads=threads, pinning=pinning)
    return found


@contextmanager
def busy_process() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which keeps one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def measure(blips: Mapping[str, Blip], rounds: int, *, busy: bool) -> dict[str, float]:
    """Median seconds of a caption, by setting."""
    seconds: dict[str, list[float]] = {name: [] for name in blips}
    with busy_process() if busy else nullcontext():
        for number in range(rounds + 1):
            for name, blip in blips.items():
                image = picture(number)
                begun = time.perf_counter()
                blip.caption(image, min_new_tokens=TOKENS, max_new_tokens=TOKENS)
                if number:  # the first round compiles, and warms up
                    seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(found) for name, found in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    print(f"{this_host().label}, {usable_cores()} cores")
    chosen = settings(usable_cores())
    blips = {name: Blip.load(options.bundle, options=one, image_cache_bytes=0) for name, one in chosen.items()}
    alone, beside = (measure(blips, options.rounds, busy=busy) for busy in (False, True))
    print("| a caption, ms | alone | beside a busy process |\n|---|---:|---:|")
    for name in blips:
        print(f"| {name} | {1000 * alone[name]:,.0f} | {1000 * beside[name]:,.0f} |")


if __name__ == "__main__":
    main()
