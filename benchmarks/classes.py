"""The same full-size bundle in both classes of CPU: SQNR of every graph on photographs, as it runs.

python -m benchmarks.classes --work out/classes

BLIP-base with random weights is calibrated on crops of the two photographs that scikit-learn ships, and diagnosed on
whole ones. "simulated" and "simulated-int7" say what exact kernels make of activations in 8 and in 7 bits; "int8" and
"int7" are whatever 8-bit kernels this CPU has, which without VNNI or AMX are exact for 7 bits alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from benchmarks.random_checkpoint import write_random_checkpoint
from blipvino import optimize
from blipvino.bundle.manifest import MANIFEST_FILE
from blipvino.machine.host import ArithmeticOption, this_host
from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle
from blipvino.measure.diagnosis.diagnosis import Diagnosis
from blipvino.measure.report.diagnosis_tables import decibels
from blipvino.optimization.optimize import CalibrationOptions

ARITHMETICS: tuple[ArithmeticOption, ...] = ("float", "simulated", "int8", "simulated-int7", "int7")
GRAPHS = ("vision", "question_kv", "question", "answer_kv", "answer")


def write_photographs(folder: Path, crops: int) -> tuple[Path, Path]:
    """Whole photographs in one folder, and random crops of half their height or more in another."""
    whole, parts = folder / "photographs", folder / "crops"
    rng = np.random.default_rng(0)
    photographs = load_sample_images().images
    for place in (whole, parts):
        place.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(photographs):
        Image.fromarray(pixels).save(whole / f"{number}.png")
    for number in range(crops):
        pixels = photographs[number % len(photographs)]
        height, width, _ = pixels.shape
        side = int(rng.integers(height // 2, height))
        top, left = rng.integers(height - side), rng.integers(width - side)
        Image.fromarray(pixels[top : top + side, left : left + side]).save(parts / f"{number:03}.png")
    return whole, parts


def main() -> None:
    """Parse the command line, make what is missing, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("out/classes"), help="folder for what is made, kept")
    parser.add_argument("--checkpoint", type=Path, help="use this one instead of random weights")
    parser.add_argument("--recipes", default="int8", help="names, separated by commas")
    parser.add_argument("--calibration-samples", type=int, default=64)
    asked = parser.parse_args()
    checkpoint = asked.checkpoint or asked.work / "checkpoint"
    if not (checkpoint / "preprocessor_config.json").exists():  # what is written last
        write_random_checkpoint(checkpoint)
    photographs, crops = write_photographs(asked.work, asked.calibration_samples)
    print(f"SQNR in dB as it runs, end to end; {this_host().cpu}")
    print(f"| recipe, arithmetic | {' | '.join(GRAPHS)} |")
    print("|---" * (len(GRAPHS) + 1) + "|")
    for recipe in asked.recipes.split(","):
        bundle = asked.work / recipe
        if not (bundle / MANIFEST_FILE).exists():
            seen = CalibrationOptions(f"folder:{crops}", asked.calibration_samples)
            optimize(checkpoint, bundle, recipe=recipe, calibration=seen)
        for arithmetic in ARITHMETICS:
            options = DiagnoseOptions(2, arithmetic=arithmetic)
            found = diagnose_bundle(bundle, f"folder:{photographs}", options, original=checkpoint)
            print(f"| {recipe}, {arithmetic} | {' | '.join(_errors(found))} |", flush=True)


def _errors(diagnosis: Diagnosis) -> list[str]:
    errors = {graph.graph: graph.as_run for graph in diagnosis.graphs}
    return ["float" if (error := errors.get(graph)) is None else decibels(error) for graph in GRAPHS]


if __name__ == "__main__":
    main()
