"""Optimize full-size BLIP-base with random weights: sizes beside the tutorial's, peak memory, time.

python -m benchmarks.full_size --samples 300
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.random_checkpoint import write_random_checkpoint
from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.checkpoint.architectures import QUESTION_ANSWERING
from blipvino.graphs.recipes import find_recipe
from blipvino.graphs.specs import groups

TUTORIAL_FP16_KB = {"vision": 168145.68, "text encoder": 268087.17, "text decoder": 269303.42}
TUTORIAL_RATE = {"vision": 1.980, "text encoder": 1.991, "text decoder": 1.988}


@dataclass(frozen=True)
class GroupResult:
    """One of the tutorial's models: our FP16 and compressed KB, our rate, and the tutorial's of both."""

    group: str
    fp16_kb: float
    tutorial_fp16_kb: float
    compressed_kb: float
    rate: float
    tutorial_rate: float


@dataclass(frozen=True)
class FullSizeResult:
    """What `optimize` made of BLIP-base, and what it took."""

    recipe: str
    samples: int
    groups: tuple[GroupResult, ...]
    seconds: float
    peak_rss_gb: float


def measure(work: Path, samples: int, recipe: str = "int8") -> FullSizeResult:
    """Write the random checkpoint, its FP16 bundle and its compressed one below ``work``; each in its own process."""
    checkpoint = write_random_checkpoint(work / "checkpoint")
    _optimize(checkpoint, work / "fp16", "none", samples)
    started = time.perf_counter()
    peak = _optimize(checkpoint, work / recipe, recipe, samples)
    seconds = time.perf_counter() - started
    groups = _groups(open_bundle(work / "fp16"), open_bundle(work / recipe))
    return FullSizeResult(recipe, samples, groups, seconds, peak)


def _optimize(checkpoint: Path, bundle: Path, recipe: str, samples: int) -> float:
    """Run the command line; returns the largest peak RSS of any child so far, in GB (10^9 bytes)."""
    command = [sys.executable, "-m", "blipvino", "optimize", str(checkpoint), "-o", str(bundle), "--recipe", recipe]
    calibration = ["--samples", str(samples)] if find_recipe(recipe).needs_calibration else []
    subprocess.run([*command, *calibration], check=True, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9


def _groups(fp16: Bundle, compressed: Bundle) -> tuple[GroupResult, ...]:
    results = []
    for group, graphs in groups(QUESTION_ANSWERING).items():
        before, after = (sum(bundle.graph_size(graph) for graph in graphs) / 1024 for bundle in (fp16, compressed))
        results.append(GroupResult(group, before, TUTORIAL_FP16_KB[group], after, before / after, TUTORIAL_RATE[group]))
    return tuple(results)


def main() -> None:
    """Parse the command line, measure, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--keep", type=Path, help="folder to leave the checkpoint and both bundles in")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="blipvino-") as temporary:
        result = measure(options.keep or Path(temporary), options.samples, options.recipe)
    print(f"{'model':<14}{'FP16, KB':>14}{'tutorial':>14}{result.recipe + ', KB':>14}{'rate':>8}{'tutorial':>10}")
    for row in result.groups:
        sizes = f"{row.fp16_kb:>14,.2f}{row.tutorial_fp16_kb:>14,.2f}{row.compressed_kb:>14,.2f}"
        print(f"{row.group:<14}{sizes}{row.rate:>8.3f}{row.tutorial_rate:>10.3f}")
    print(f"{result.samples} samples, {result.seconds:.0f} s, peak RSS {result.peak_rss_gb:.2f} GB")
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
